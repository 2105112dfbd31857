// SPDX-License-Identifier: MIT

// The loss pass: value and both coefficients from four float columns, beside a loop that only moves the same
// bytes (24 a pair). Both run in this process, on the same memory, one after the other.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include <benchmark/benchmark.h>

#include <prefer/loss/dpo.hpp>
#include <prefer/loss/hinge.hpp>
#include <prefer/loss/ipo.hpp>
#include <prefer/loss/nll.hpp>
#include <prefer/loss/simpo.hpp>
#include <prefer/model/matrix_product.hpp>
#include <prefer/objective/evaluate.hpp>
#include <prefer/parallel/thread_pool.hpp>
#include <prefer/scalar/lane.hpp>

namespace {

/// Log-probabilities of about -60 nats, as sequence sums are, and room for results.
struct columns {
  explicit columns(std::size_t n)
      : policy_chosen(n),
        policy_rejected(n),
        reference_chosen(n),
        reference_rejected(n),
        length(n, 20.0f),
        chosen(n),
        rejected(n) {
    std::uint64_t state = 88172645463325252u;
    for (auto* each : {&policy_chosen, &policy_rejected, &reference_chosen, &reference_rejected}) {
      for (float& x : *each) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        x = -60.0f - static_cast<float>(state >> 40) * 2e-6f;
      }
    }
  }
  [[nodiscard]] prefer::pair_columns batch(bool with_length) const {
    prefer::pair_columns out{.policy = {policy_chosen, policy_rejected},
                             .reference = {reference_chosen, reference_rejected}};
    if (with_length) out.length = {length, length};
    return out;
  }

  using numbers = prefer::detail::aligned_vector<float>;  // as tensor libraries align theirs
  numbers policy_chosen, policy_rejected, reference_chosen, reference_rejected, length;
  numbers chosen, rejected;
};

void report(benchmark::State& state, std::size_t n) {
  state.counters["ns_per_pair"] = benchmark::Counter(
      static_cast<double>(n) * 1e-9,
      benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

prefer::thread_pool& pool() {
  static prefer::thread_pool shared(2);
  return shared;
}
prefer::executor threads(std::int64_t count) {
  return count > 1 ? pool().executor() : prefer::executor();
}

// Reads four columns and writes two, in the chunks of evaluate.
void moves_bytes(benchmark::State& state) {
  auto const n = static_cast<std::size_t>(state.range(0));
  columns data(n);
  using pack = prefer::lane<float>;
  for (auto _ : state) {
    threads(state.range(1))
        .for_each_block(n, n / 64 / 16 * 16 + 16, [&](std::size_t begin, std::size_t end) {
          std::size_t i = begin;
          for (; i + pack::width <= end; i += pack::width) {
            pack const t =
                pack::load(&data.policy_chosen[i]) + pack::load(&data.policy_rejected[i]) +
                (pack::load(&data.reference_chosen[i]) + pack::load(&data.reference_rejected[i]));
            t.store(&data.chosen[i]);
            t.store(&data.rejected[i]);
          }
          for (; i < end; ++i) data.chosen[i] = data.rejected[i] = data.policy_chosen[i];
        });
    benchmark::ClobberMemory();
  }
  report(state, n);
}

template <class L>
void loss_pass(benchmark::State& state, L loss) {
  auto const n = static_cast<std::size_t>(state.range(0));
  columns data(n);
  auto const batch = data.batch(prefer::reads(loss).contains(prefer::column_name::length));
  prefer::pair_results const results{.chosen = data.chosen, .rejected = data.rejected};
  for (auto _ : state) {
    double const mean = prefer::evaluate_into(
        loss, batch, results, prefer::evaluate_options{.threads = threads(state.range(1))});
    benchmark::DoNotOptimize(mean);
    benchmark::ClobberMemory();
  }
  report(state, n);
}

constexpr auto own_loss =
    prefer::pair_loss([](auto const& pair) { return softplus(-0.1 * pair.log_ratio_margin()); });

void sizes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"pairs", "threads"})->UseRealTime()->Unit(benchmark::kMicrosecond);
  b->Args({10'000, 1})
      ->Args({1'000'000, 1})
      ->Args({1'000'000, 2})
      ->Args({10'000'000, 1})
      ->Args({10'000'000, 2});
}
void one_size(benchmark::internal::Benchmark* b) {
  b->ArgNames({"pairs", "threads"})
      ->UseRealTime()
      ->Unit(benchmark::kMicrosecond)
      ->Args({10'000, 1});
}

BENCHMARK(moves_bytes)->Apply(sizes);
BENCHMARK_CAPTURE(loss_pass, dpo, prefer::dpo{})->Apply(sizes);
BENCHMARK_CAPTURE(loss_pass, own_lambda, own_loss)->Apply(one_size);
BENCHMARK_CAPTURE(loss_pass, hinge, prefer::hinge{})->Apply(one_size);
BENCHMARK_CAPTURE(loss_pass, ipo, prefer::ipo{})->Apply(one_size);
BENCHMARK_CAPTURE(loss_pass, ipo_sum, prefer::ipo_sum{})->Apply(one_size);
BENCHMARK_CAPTURE(loss_pass, simpo, prefer::simpo{})->Apply(one_size);
BENCHMARK_CAPTURE(loss_pass, nll, prefer::nll{})->Apply(one_size);
BENCHMARK_CAPTURE(loss_pass, nll_per_token, prefer::nll_per_token{})->Apply(one_size);
BENCHMARK_CAPTURE(loss_pass, dpo_plus_nll, prefer::dpo{} + 0.1 * prefer::nll{})->Apply(one_size);

}  // namespace
