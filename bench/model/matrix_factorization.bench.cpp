// SPDX-License-Identifier: MIT
#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <prefer/loss/dpo.hpp>
#include <prefer/model/matrix_factorization.hpp>
#include <prefer/objective/evaluate.hpp>
#include <prefer/parallel/thread_pool.hpp>
#include <prefer/random/distributions.hpp>
#include <prefer/random/philox.hpp>
#include <prefer/train/adamw.hpp>
#include <span>
#include <vector>

// A recommender of the size of MovieLens-100K: one training step of 1,024 pairs, on range(0)
// threads.
namespace {

constexpr std::size_t users = 943;
constexpr std::size_t items = 1682;
constexpr std::size_t factors = 64;
constexpr std::size_t pairs = 1024;
constexpr std::size_t batches = 16;

using prefer::choice_batch;

prefer::matrix_factorization<float> random_policy() {
  prefer::matrix_factorization<float> policy(users, items, factors);
  std::uint64_t step = 0;
  for (auto const& each : policy.parameters()) {
    prefer::fill_normal(each.value, {.seed = 1, .step = ++step}, 0, 0.1);
  }
  return policy;
}

// 1,024 uniform draws from 943 users meet about 625 of them.
prefer::choice_data random_pairs() {
  prefer::choice_data data;
  prefer::random_stream numbers({.seed = 2});
  while (data.size() != pairs * batches) {
    auto const u = static_cast<double>(numbers.next64() >> 11) * 0x1p-53;
    auto const chosen = static_cast<std::uint32_t>(prefer::below(numbers, items));
    auto const rejected = static_cast<std::uint32_t>(prefer::below(numbers, items));
    auto const user = static_cast<std::uint32_t>(u * users);
    if (chosen != rejected) data.add_pair(user, chosen, rejected);
  }
  return data;
}

struct step {
  prefer::matrix_factorization<float> policy = random_policy();
  prefer::choice_data data = random_pairs();
  prefer::adamw<float> optimizer;
  std::vector<prefer::parameter<float>> parameters = policy.parameters();
  std::vector<float> reference = std::vector<float>(2 * pairs * batches);
  std::vector<float> log_prob = std::vector<float>(2 * pairs);
  std::vector<float> coefficient = std::vector<float>(2 * pairs);
  std::vector<float> column[6] = {std::vector<float>(pairs), std::vector<float>(pairs),
                                  std::vector<float>(pairs), std::vector<float>(pairs),
                                  std::vector<float>(pairs), std::vector<float>(pairs)};
  std::vector<std::size_t> offset = {data.offset.begin(), data.offset.begin() + pairs + 1};
  prefer::executor threads;

  explicit step(prefer::executor on) : threads(on) {
    policy.use(threads);
    for (std::size_t b = 0; b != batches; ++b) {
      policy.log_prob(batch(b), std::span(reference).subspan(2 * pairs * b, 2 * pairs));
    }
  }

  choice_batch batch(std::size_t b) const {
    return {.prompt = std::span(data.prompt).subspan(b * pairs, pairs),
            .completion = std::span(data.completion).subspan(2 * b * pairs, 2 * pairs),
            .offset = offset};
  }

  // coefficient of every completion, from log_prob and the reference of batch b
  void evaluate(std::size_t b) {
    float const* const at = reference.data() + 2 * pairs * b;
    for (std::size_t i = 0; i != pairs; ++i) {
      column[0][i] = log_prob[2 * i];
      column[1][i] = log_prob[2 * i + 1];
      column[2][i] = at[2 * i];
      column[3][i] = at[2 * i + 1];
    }
    prefer::evaluate_into(
        prefer::dpo{},
        prefer::pair_columns{.policy = {column[0], column[1]}, .reference = {column[2], column[3]}},
        prefer::pair_results{.chosen = column[4], .rejected = column[5]}, {.threads = threads});
    for (std::size_t i = 0; i != pairs; ++i) {
      coefficient[2 * i] = column[4][i];
      coefficient[2 * i + 1] = column[5][i];
    }
  }
};

void rates(benchmark::State& state) {
  state.counters["pairs_per_second"] =
      benchmark::Counter(static_cast<double>(pairs) * static_cast<double>(state.iterations()),
                         benchmark::Counter::kIsRate);
}
void flops(benchmark::State& state, double per_iteration) {
  state.counters["GFLOP/s"] = benchmark::Counter(
      1e-9 * per_iteration * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}
unsigned threads_of(benchmark::State const& state) { return static_cast<unsigned>(state.range(0)); }

std::size_t users_in(choice_batch const& batch) {
  std::vector<bool> seen(users);
  for (auto const u : batch.prompt) seen[u] = true;
  std::size_t count = 0;
  for (bool const each : seen) count += each;
  return count;
}

// The normaliser does not cancel for a general loss: log_prob, backward, both parts, Adam.
// Coefficients are kept apart by 1 % so that they do not cancel for dpo either.
void full_softmax(benchmark::State& state) {
  prefer::thread_pool pool(threads_of(state));
  step s(pool.executor());
  std::size_t b = 0;
  double distinct = 0;
  for (std::size_t k = 0; k != batches; ++k) {
    distinct += static_cast<double>(users_in(s.batch(k))) / static_cast<double>(batches);
  }
  for (auto _ : state) {
    s.policy.clear_gradient();
    s.policy.log_prob(s.batch(b), s.log_prob);
    s.evaluate(b);
    for (std::size_t i = 0; i != 2 * pairs; i += 2) s.coefficient[i] *= 1.01F;
    s.policy.backward(s.batch(b), s.coefficient);
    s.policy.finish_backward();
    s.optimizer.step(s.parameters, 1e-3, s.threads);
    b = (b + 1) % batches;
  }
  rates(state);
  flops(state, 3 * 2 * distinct * items * factors);
  state.counters["users"] = distinct;
}

// Parts of the same step.
void part_log_prob(benchmark::State& state) {
  prefer::thread_pool pool(threads_of(state));
  step s(pool.executor());
  for (auto _ : state) {
    s.policy.log_prob(s.batch(0), s.log_prob);
    benchmark::ClobberMemory();
  }
}
void part_backward(benchmark::State& state) {
  prefer::thread_pool pool(threads_of(state));
  step s(pool.executor());
  s.coefficient.assign(2 * pairs, 1e-3F);
  for (auto _ : state) {
    state.PauseTiming();
    s.policy.log_prob(s.batch(0), s.log_prob);
    state.ResumeTiming();
    s.policy.backward(s.batch(0), s.coefficient);
    s.policy.finish_backward();
  }
}
void part_adam(benchmark::State& state) {
  prefer::thread_pool pool(threads_of(state));
  step s(pool.executor());
  for (auto _ : state) {
    s.policy.clear_gradient();
    s.optimizer.step(s.parameters, 1e-3, s.threads);
  }
}

// For losses in which normalisers cancel: logits instead of log-probabilities.
void cancelled(benchmark::State& state) {
  prefer::thread_pool pool(threads_of(state));
  step s(pool.executor());
  std::size_t b = 0;
  for (auto _ : state) {
    s.policy.clear_gradient();
    s.policy.logit(s.batch(b), s.log_prob);
    s.evaluate(b);
    s.policy.backward_logit(s.batch(b), s.coefficient);
    s.optimizer.step(s.parameters, 1e-3, s.threads);
    b = (b + 1) % batches;
  }
  rates(state);
}
void cancelled_without_adam(benchmark::State& state) {
  prefer::thread_pool pool(threads_of(state));
  step s(pool.executor());
  std::size_t b = 0;
  for (auto _ : state) {
    s.policy.clear_gradient();
    s.policy.logit(s.batch(b), s.log_prob);
    s.evaluate(b);
    s.policy.backward_logit(s.batch(b), s.coefficient);
    b = (b + 1) % batches;
  }
  rates(state);
}

// The bound: the three products of the step alone, on operands that stay in the first-level cache.
void bound_products(benchmark::State& state) {
  prefer::thread_pool pool(threads_of(state));
  auto const distinct = users_in(step({}).batch(0));
  constexpr std::size_t rows = 24;
  constexpr std::size_t columns = 64;
  double const work = 3 * 2 * static_cast<double>(distinct) * items * factors;
  auto const chunks = static_cast<std::size_t>(work / (2.0 * rows * columns * factors * 16));
  auto const threads = pool.executor();
  for (auto _ : state) {
    threads.for_each_chunk(chunks, [](std::size_t) {
      alignas(64) float a[rows * factors] = {};
      alignas(64) float b[factors * columns] = {};
      alignas(64) float c[rows * columns] = {};
      for (int repeat = 0; repeat != 16; ++repeat) {
        prefer::add_product<float>({.rows = rows,
                                    .columns = columns,
                                    .depth = factors,
                                    .right = b,
                                    .right_stride = columns,
                                    .from = c,
                                    .from_stride = columns,
                                    .to = c,
                                    .to_stride = columns},
                                   [&](std::size_t r) -> float const* { return a + r * factors; });
        benchmark::DoNotOptimize(c);
      }
    });
  }
  rates(state);
  flops(state, work);
}

BENCHMARK(full_softmax)->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMicrosecond);
BENCHMARK(bound_products)->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMicrosecond);
BENCHMARK(part_log_prob)->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMicrosecond);
BENCHMARK(part_backward)->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMicrosecond);
BENCHMARK(part_adam)->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMicrosecond);
BENCHMARK(cancelled)->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMicrosecond);
BENCHMARK(cancelled_without_adam)->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMicrosecond);

}  // namespace
