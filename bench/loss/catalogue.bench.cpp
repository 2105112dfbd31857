// SPDX-License-Identifier: MIT

// Every loss of the catalogue: value-free pass over float columns (lists: double), coefficients of all completions, in
// batches of 10,000 examples on one thread; nanoseconds per example and allocations per call. A list has four
// completions, or as many as its loss takes. The first row is the bound: a loop that reads the four columns of log-
// probabilities and writes both coefficients. The last is what lists are compared with: DPO over pairs of double.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <string>
#include <type_traits>
#include <vector>

#include <benchmark/benchmark.h>

#include <prefer/loss/catalogue.hpp>
#include <prefer/model/matrix_product.hpp>
#include <prefer/objective/evaluate.hpp>

namespace {
std::atomic<std::int64_t> allocations = 0;
}  // namespace

[[gnu::noinline]] void* operator new(std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* const p = std::malloc(size == 0 ? 1 : size)) return p;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept { std::free(p); }

namespace {

constexpr std::size_t examples = 10'000;

/// As tensor libraries align theirs: where columns begin within a line of the cache decides what the cheapest losses cost.
template <class T>
using aligned = prefer::detail::aligned_vector<T>;

/// Numbers between `low` and `low + width`, the same in every run.
template <class T>
aligned<T> numbers(std::size_t n, double low, double width, std::uint64_t seed) {
  std::uint64_t state = 88172645463325252u + seed;
  aligned<T> out(n);
  for (T& x : out) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    x = static_cast<T>(low + width * static_cast<double>(state >> 40) * 0x1p-24);
  }
  return out;
}

void report(benchmark::State& state, std::int64_t allocated) {
  state.counters["ns_per_example"] = benchmark::Counter(
      static_cast<double>(examples) * 1e-9,
      benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
  state.counters["allocations"] =
      static_cast<double>(allocated) / static_cast<double>(state.iterations());
}

/// Runs `pass` as often as the framework wants and counts what it allocates.
template <class Pass>
void measure(benchmark::State& state, Pass const& pass) {
  auto const before = allocations.load();
  for (auto _ : state) {
    benchmark::DoNotOptimize(pass());
    benchmark::ClobberMemory();
  }
  report(state, allocations.load() - before);
}

template <class T, prefer::PairLoss L>
void loss_pass(benchmark::State& state, L const& loss) {
  auto const side = [](double low, double width, std::uint64_t seed) {
    return std::pair(numbers<T>(examples, low, width, seed),
                     numbers<T>(examples, low, width, seed + 1));
  };
  auto const [policy_chosen, policy_rejected] = side(-60.0, 30.0, 1);
  auto const [reference_chosen, reference_rejected] = side(-60.0, 30.0, 3);
  auto const [length_chosen, length_rejected] = side(10.0, 20.0, 5);
  auto const [divergence_chosen, divergence_rejected] = side(0.0, 2.0, 7);
  auto const alignment = numbers<T>(examples, -1.0, 0.5, 9);
  auto const score_chosen = numbers<T>(examples, 0.6, 0.4, 10);
  auto const score_rejected = numbers<T>(examples, 0.1, 0.4, 11);
  auto const uniform = numbers<T>(examples, 0.0, 1.0, 12);
  prefer::pair_columns const batch{.policy = {policy_chosen, policy_rejected},
                                   .reference = {reference_chosen, reference_rejected},
                                   .length = {length_chosen, length_rejected},
                                   .score = {score_chosen, score_rejected},
                                   .divergence = {divergence_chosen, divergence_rejected},
                                   .alignment = {alignment, alignment},
                                   .perturbed_toward = {policy_chosen, policy_rejected},
                                   .perturbed_away = {reference_chosen, reference_rejected},
                                   .chosen_from_reference = alignment,
                                   .uniform = uniform};
  aligned<T> chosen(examples), rejected(examples);
  prefer::pair_results const results{.chosen = chosen, .rejected = rejected};
  prefer::loss_memory<L> memory{};
  measure(state, [&] {
    return prefer::evaluate_into(loss, batch, results, prefer::prepare(loss, batch, memory));
  });
}

template <class T, prefer::UnpairedLoss L>
void loss_pass(benchmark::State& state, L const& loss) {
  auto const policy = numbers<T>(examples, -60.0, 30.0, 1);
  auto const reference = numbers<T>(examples, -60.0, 30.0, 2);
  auto const label = numbers<T>(examples, -1.0, 2.0, 3);
  auto const score = numbers<T>(examples, 0.0, 1.0, 4);
  prefer::unpaired_columns const batch{.policy = policy,
                                       .reference = reference,
                                       .label = label,
                                       .score = score,
                                       .kl_examples = {.policy = policy, .reference = reference}};
  aligned<T> coefficient(examples);
  prefer::loss_memory<L> memory{};
  measure(state, [&] {
    return prefer::evaluate_into(loss, batch, prefer::unpaired_results{.coefficient = coefficient},
                                 prefer::prepare(loss, batch, memory));
  });
}

template <class T, prefer::ListLoss L>
void loss_pass(benchmark::State& state, L const& loss) {
  constexpr std::size_t asked = prefer::list_size_of<L>();
  constexpr std::size_t size = asked == 0 ? 4 : asked;
  auto const policy = numbers<T>(examples * size, -60.0, 30.0, 1);
  auto const reference = numbers<T>(examples * size, -60.0, 30.0, 2);
  auto const length = numbers<T>(examples * size, 10.0, 20.0, 3);
  aligned<T> score(examples * size);
  std::vector<std::size_t> offset(examples + 1);
  for (std::size_t i = 0; i < score.size(); ++i) score[i] = static_cast<T>(size - i % size);
  for (std::size_t g = 0; g <= examples; ++g) offset[g] = g * size;
  prefer::list_columns const batch{
      .policy = policy, .reference = reference, .length = length, .score = score, .offset = offset};
  aligned<T> coefficient(examples * size);
  measure(state, [&] {
    return prefer::evaluate_into(loss, batch, prefer::list_results{.coefficient = coefficient});
  });
}

void moves_bytes(benchmark::State& state) {
  auto const a = numbers<float>(examples, -60.0, 30.0, 1);
  auto const b = numbers<float>(examples, -60.0, 30.0, 2);
  auto const c = numbers<float>(examples, -60.0, 30.0, 3);
  auto const d = numbers<float>(examples, -60.0, 30.0, 4);
  aligned<float> chosen(examples), rejected(examples);
  measure(state, [&] {
    using pack = prefer::lane<float>;
    for (std::size_t i = 0; i + pack::width <= examples; i += pack::width) {
      pack const t = pack::load(&a[i]) + pack::load(&b[i]) + pack::load(&c[i]) + pack::load(&d[i]);
      t.store(&chosen[i]);
      t.store(&rejected[i]);
    }
    return chosen[0];
  });
}

bool const registered = [] {
  auto const microseconds = [](benchmark::internal::Benchmark* b) {
    b->Unit(benchmark::kMicrosecond)->UseRealTime();
  };
  microseconds(benchmark::RegisterBenchmark("moves_bytes", moves_bytes));
  prefer::for_each_loss([&]<prefer::Loss L>(L const& loss, prefer::loss_info const&) {
    char const* const kind = L::arity == 1 ? "labels/" : L::arity == 2 ? "pairs/" : "lists/";
    using number = std::conditional_t<L::arity == prefer::dynamic_arity, double, float>;
    microseconds(benchmark::RegisterBenchmark(
        (std::string(kind) + L::name).c_str(),
        [loss](benchmark::State& state) { loss_pass<number>(state, loss); }));
  });
  microseconds(benchmark::RegisterBenchmark("pairs of double/dpo", [](benchmark::State& state) {
    loss_pass<double>(state, prefer::dpo{});
  }));
  return true;
}();

}  // namespace
