// SPDX-License-Identifier: MIT
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/log_sigmoid.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/randn.h>
#include <benchmark/benchmark.h>
#include <torch/csrc/autograd/autograd.h>

#include <cstdint>

#include <prefer/adapters/torch.hpp>
#include <prefer/adapters/torch/scalar.hpp>
#include <prefer/loss/dpo.hpp>

// DPO over float tensors, value and gradient of both completions, on one thread: by this library, by autograd through the
// formula, and as one writes it in torch. Columns are leaves, or are made from a parameter by one multiplication each, of which
// `parameter` alone is what both ways share: its forward pass, and its backward pass from gradients that are there.
namespace {

struct batch {
  explicit batch(std::int64_t n)
      : chosen(at::randn({n}).requires_grad_(true)),
        rejected(at::randn({n}).requires_grad_(true)),
        reference_chosen(at::randn({n})),
        reference_rejected(at::randn({n})),
        parameter(at::randn({n}).requires_grad_(true)),
        feature_of_chosen(at::randn({n})),
        feature_of_rejected(at::randn({n})) {}

  [[nodiscard]] prefer::torch::pair_columns columns() const {
    return {.policy = {chosen, rejected}, .reference = {reference_chosen, reference_rejected}};
  }
  [[nodiscard]] at::Tensor written_in_torch() const {
    auto const margin = (chosen - rejected) - (reference_chosen - reference_rejected);
    return -at::mean(at::log_sigmoid(margin * 0.1));
  }
  /// Columns with a history, in the place of leaves.
  void make_columns() {
    chosen = parameter * feature_of_chosen;
    rejected = parameter * feature_of_rejected;
  }

  at::Tensor chosen, rejected, reference_chosen, reference_rejected;
  at::Tensor parameter, feature_of_chosen, feature_of_rejected;
};

void measure(benchmark::State& state, auto const& step) {
  at::set_num_threads(1);
  batch numbers(state.range(0));
  for (auto _ : state) {
    for (at::Tensor* each : {&numbers.chosen, &numbers.rejected, &numbers.parameter}) {
      if (each->is_leaf()) each->mutable_grad() = at::Tensor();
    }
    step(numbers);
    benchmark::ClobberMemory();
  }
  state.counters["ns_per_pair"] =
      benchmark::Counter(1e-9 * static_cast<double>(state.range(0) * state.iterations()),
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void loss(benchmark::State& state) {
  measure(state, [](batch& x) { prefer::torch::loss(prefer::dpo{}, x.columns()).backward(); });
}
void value(benchmark::State& state) {
  measure(state,
          [](batch& x) { prefer::torch::loss(prefer::dpo{}, x.columns()).value().backward(); });
}
void formula(benchmark::State& state) {
  measure(state,
          [](batch& x) { prefer::torch::loss_by_autograd(prefer::dpo{}, x.columns()).backward(); });
}
void eager(benchmark::State& state) {
  measure(state, [](batch& x) { x.written_in_torch().backward(); });
}

void parameter(benchmark::State& state) {
  measure(state, [](batch& x) {
    x.make_columns();
    ::torch::autograd::backward({x.chosen, x.rejected}, {x.reference_chosen, x.reference_rejected});
  });
}
void loss_of_parameter(benchmark::State& state) {
  measure(state, [](batch& x) {
    x.make_columns();
    prefer::torch::loss(prefer::dpo{}, x.columns()).backward();
  });
}
void eager_of_parameter(benchmark::State& state) {
  measure(state, [](batch& x) {
    x.make_columns();
    x.written_in_torch().backward();
  });
}

#define PREFER_SIZES Arg(1'000)->Arg(1'000'000)->UseRealTime()
BENCHMARK(loss)->PREFER_SIZES;
BENCHMARK(value)->PREFER_SIZES;
BENCHMARK(formula)->PREFER_SIZES;
BENCHMARK(eager)->PREFER_SIZES;
BENCHMARK(loss_of_parameter)->PREFER_SIZES;
BENCHMARK(eager_of_parameter)->PREFER_SIZES;
BENCHMARK(parameter)->PREFER_SIZES;

}  // namespace
