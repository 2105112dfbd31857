// SPDX-License-Identifier: MIT
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/log_sigmoid.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/randn.h>
#include <benchmark/benchmark.h>

#include <cstdint>

#include <prefer/adapters/torch.hpp>
#include <prefer/adapters/torch/scalar.hpp>
#include <prefer/loss/dpo.hpp>

// DPO over float tensors, value and gradient of both completions, on one thread: as a node, by autograd through the formula, and
// as one writes it in torch.
namespace {

struct batch {
  explicit batch(std::int64_t n)
      : chosen(at::randn({n}).requires_grad_(true)),
        rejected(at::randn({n}).requires_grad_(true)),
        reference_chosen(at::randn({n})),
        reference_rejected(at::randn({n})) {}

  [[nodiscard]] prefer::torch::pair_columns columns() const {
    return {.policy = {chosen, rejected}, .reference = {reference_chosen, reference_rejected}};
  }

  at::Tensor chosen, rejected, reference_chosen, reference_rejected;
};

void measure(benchmark::State& state, auto const& loss_of) {
  at::set_num_threads(1);
  batch numbers(state.range(0));
  for (auto _ : state) {
    numbers.chosen.mutable_grad() = at::Tensor();
    numbers.rejected.mutable_grad() = at::Tensor();
    loss_of(numbers).backward();
    benchmark::ClobberMemory();
  }
  state.counters["ns_per_pair"] =
      benchmark::Counter(1e-9 * static_cast<double>(state.range(0) * state.iterations()),
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void node(benchmark::State& state) {
  measure(state, [](batch const& x) { return prefer::torch::loss(prefer::dpo{}, x.columns()); });
}
void formula(benchmark::State& state) {
  measure(state, [](batch const& x) {
    return prefer::torch::loss_by_autograd(prefer::dpo{}, x.columns());
  });
}
void eager(benchmark::State& state) {
  measure(state, [](batch const& x) {
    auto const margin = (x.chosen - x.rejected) - (x.reference_chosen - x.reference_rejected);
    return -at::mean(at::log_sigmoid(margin * 0.1));
  });
}

BENCHMARK(node)->Arg(1'000)->Arg(1'000'000)->UseRealTime();
BENCHMARK(formula)->Arg(1'000)->Arg(1'000'000)->UseRealTime();
BENCHMARK(eager)->Arg(1'000)->Arg(1'000'000)->UseRealTime();

}  // namespace
