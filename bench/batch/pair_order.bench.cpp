// SPDX-License-Identifier: MIT

// Ranks: `ascending_order` of differences of floats, beside the library's stable sort of the same numbers.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

#include <benchmark/benchmark.h>

#include <prefer/batch/pair_order.hpp>

namespace {

std::vector<double> differences(std::size_t n) {
  std::uint64_t state = 88172645463325252u;
  auto const next = [&] {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return static_cast<float>(-60.0 + 30.0 * static_cast<double>(state >> 40) * 0x1p-24);
  };
  std::vector<double> out(n);
  for (double& x : out) x = static_cast<double>(next()) - static_cast<double>(next());
  return out;
}

void report(benchmark::State& state, std::size_t n) {
  state.counters["ns_per_number"] = benchmark::Counter(
      static_cast<double>(n) * 1e-9,
      benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

void by_their_bits(benchmark::State& state) {
  auto const x = differences(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    auto const order = prefer::ascending_order(x.size(), [&](std::size_t i) { return x[i]; });
    benchmark::DoNotOptimize(order.data());
  }
  report(state, x.size());
}
void stable_sort(benchmark::State& state) {
  auto const x = differences(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    std::vector<std::uint32_t> order(x.size());
    std::iota(order.begin(), order.end(), 0u);
    std::stable_sort(order.begin(), order.end(),
                     [&](std::uint32_t a, std::uint32_t b) { return x[a] < x[b]; });
    benchmark::DoNotOptimize(order.data());
  }
  report(state, x.size());
}
BENCHMARK(by_their_bits)->Arg(64)->Arg(1'000)->Arg(10'000)->Arg(1'000'000);
BENCHMARK(stable_sort)->Arg(64)->Arg(1'000)->Arg(10'000)->Arg(1'000'000);

}  // namespace
