// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/parallel/executor.hpp>
#include <prefer/parallel/thread_pool.hpp>
#include <prefer/policy/policy.hpp>

#include "support/finite_difference.hpp"

// What must hold for every policy over numbered completions.
namespace prefer::test {

/// Fixed, evenly spread numbers, without a word on how the library makes its own.
class spread {
 public:
  explicit spread(std::uint64_t seed) : state_(seed * 2 + 1) {}
  std::size_t below(std::size_t bound) { return static_cast<std::size_t>((next() >> 33) % bound); }
  /// In [-1, 1).
  double number() { return static_cast<double>(next() >> 12) * 0x1p-51 - 1; }

 private:
  std::uint64_t next() { return state_ = state_ * 6364136223846793005u + 1442695040888963407u; }
  std::uint64_t state_;
};

template <class T>
std::vector<T> numbers(std::size_t count, std::uint64_t seed) {
  spread from(seed);
  std::vector<T> out(count);
  for (T& each : out) each = static_cast<T>(from.number());
  return out;
}

/// `groups` lists of 1 to 4 completions; prompts and completions occur several times.
inline choice_data lists(std::size_t groups, std::size_t prompts, std::size_t completions,
                         std::uint64_t seed = 1) {
  spread from(seed);
  choice_data data;
  for (std::size_t g = 0; g != groups; ++g) {
    // Up to `size` completions that differ.
    std::vector<std::uint32_t> list;
    for (std::size_t size = 1 + from.below(4); size != 0; --size) {
      auto const y = static_cast<std::uint32_t>(from.below(completions));
      if (std::find(list.begin(), list.end(), y) == list.end()) list.push_back(y);
    }
    data.add_list(static_cast<std::uint32_t>(from.below(prompts)), list);
  }
  return data;
}

/// Groups [begin, end) as a batch of its own.
struct part_of_batch {
  std::vector<std::size_t> offset;
  std::vector<std::size_t> row;
  choice_batch batch;

  part_of_batch(choice_data const& data, std::size_t begin, std::size_t end) {
    for (std::size_t g = begin; g <= end; ++g)
      offset.push_back(data.offset[g] - data.offset[begin]);
    for (std::size_t g = begin; g != end; ++g) row.push_back(g);
    batch = {.prompt = std::span(data.prompt).subspan(begin, end - begin),
             .completion = std::span(data.completion).subspan(data.offset[begin], offset.back()),
             .offset = offset,
             .row = row};
  }
  part_of_batch(part_of_batch const&) = delete;
};

template <class P>
std::vector<typename P::value_type> gradient_of(P& policy) {
  std::vector<typename P::value_type> out;
  for (auto const& each : policy.parameters()) {
    out.insert(out.end(), each.gradient.begin(), each.gradient.end());
  }
  return out;
}

template <class P>
void fill_parameters(P& policy, std::uint64_t seed, double scale = 1) {
  for (auto const& each : policy.parameters()) {
    spread from(++seed);
    for (auto& value : each.value) {
      value = static_cast<typename P::value_type>(scale * from.number());
    }
  }
}

/// One step's log-probabilities and gradient, the batch cut before each of `cuts`.
template <class P>
struct outcome {
  std::vector<typename P::value_type> log_prob;
  std::vector<typename P::value_type> gradient;

  outcome(P policy, choice_data const& data, std::vector<typename P::value_type> const& coefficient,
          std::vector<std::size_t> cuts = {}, executor threads = {})
      : log_prob(data.completion.size()) {
    policy.use(threads);
    cuts.push_back(data.size());
    std::size_t begin = 0;
    for (std::size_t const end : cuts) {
      part_of_batch const part(data, begin, end);
      std::size_t const first = data.offset[begin];
      std::size_t const count = data.offset[end] - first;
      policy.log_prob(part.batch, std::span(log_prob).subspan(first, count));
      policy.backward(part.batch, std::span(coefficient).subspan(first, count));
      begin = end;
    }
    if constexpr (requires { policy.finish_backward(); }) policy.finish_backward();
    gradient = gradient_of(policy);
  }
};

template <class T>
bool same_bytes(std::vector<T> const& a, std::vector<T> const& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

/// An executor that runs chunks last to first.
inline executor backwards() {
  return executor(
      nullptr,
      [](void*, std::size_t chunks, executor::chunk_function body, void* work) {
        while (chunks != 0) body(work, --chunks);
      },
      2);
}

/// backward is the transpose of log_prob's derivative.
template <class P>
void check_gradient(P policy, choice_data const& data) {
  auto const coefficient = numbers<double>(data.completion.size(), 77);
  auto const computed = outcome<P>(policy, data, coefficient).gradient;
  std::vector<double> out(data.completion.size());
  part_of_batch const whole(data, 0, data.size());
  std::size_t at = 0;
  for (auto const& each : policy.parameters()) {
    for (double& value : each.value) {
      double const before = value;
      auto const expected = derivative(
          [&](long double x) {
            value = static_cast<double>(x);
            policy.log_prob(whole.batch, out);
            long double sum = 0;
            for (std::size_t i = 0; i != out.size(); ++i) {
              sum += static_cast<long double>(coefficient[i]) * out[i];
            }
            return sum;
          },
          before, 0x1p-8L);
      value = before;
      INFO(each.name << ", element " << at);
      CHECK(computed[at] == Approx(static_cast<double>(expected)).margin(1e-9).epsilon(1e-8));
      ++at;
    }
  }
}

/// No cut into micro-batches, no number of threads and no order of chunks changes a bit.
template <class P>
void check_bits(P const& policy, choice_data const& data) {
  using T = typename P::value_type;
  auto const coefficient = numbers<T>(data.completion.size(), 78);
  outcome<P> const whole(policy, data, coefficient);
  CHECK(std::any_of(whole.gradient.begin(), whole.gradient.end(), [](T x) { return x != 0; }));
  std::vector<std::size_t> each;
  for (std::size_t g = 1; g != data.size(); ++g) each.push_back(g);
  thread_pool pool(2);
  for (auto const& cuts : {std::vector<std::size_t>{}, std::vector<std::size_t>{1},
                           std::vector<std::size_t>{data.size() / 3, data.size() / 2}, each}) {
    for (auto const& threads : {executor(), backwards(), pool.executor()}) {
      outcome<P> const cut(policy, data, coefficient, cuts, threads);
      INFO(cuts.size() << " cuts, " << threads.concurrency() << " threads");
      CHECK(same_bytes(cut.log_prob, whole.log_prob));
      CHECK(same_bytes(cut.gradient, whole.gradient));
    }
  }
}

/// Probabilities of all completions of a prompt add up to 1, and are those of a batch.
template <class P>
void check_log_probs(P policy, double tolerance) {
  using T = typename P::value_type;
  std::vector<T> row(policy.completions());
  for (std::uint32_t x = 0; x != policy.prompts(); ++x) {
    policy.log_probs(x, row);
    double sum = 0;
    for (T const each : row) sum += std::exp(static_cast<double>(each));
    CHECK(sum == Approx(1).epsilon(tolerance));

    choice_data data;
    for (std::uint32_t y = 0; y != policy.completions(); ++y) data.add_list(x, std::span(&y, 1));
    std::vector<T> batch(policy.completions());
    policy.log_prob(data.batch(), batch);
    double distance = 0;
    for (std::size_t y = 0; y != row.size(); ++y) {
      distance = std::max(distance, static_cast<double>(std::fabs(row[y] - batch[y])));
    }
    CHECK(distance <= 20 * tolerance);
  }
}

/// Logits and log-probabilities differ by a constant per prompt, and so do their gradients: not at
/// all where a group's coefficients add up to 0.
template <class P>
void check_logits(P const& start, double tolerance) {
  using T = typename P::value_type;
  choice_data data;
  spread from(5);
  for (int i = 0; i != 30; ++i) {
    auto const chosen = from.below(start.completions());
    auto const rejected = (chosen + 1 + from.below(start.completions() - 1)) % start.completions();
    data.add_pair(static_cast<std::uint32_t>(from.below(start.prompts())),
                  static_cast<std::uint32_t>(chosen), static_cast<std::uint32_t>(rejected));
  }
  P policy = start;
  std::vector<T> logit(60);
  policy.logit(data.batch(), logit);
  auto coefficient = numbers<T>(60, 79);
  for (std::size_t i = 0; i != 60; i += 2) coefficient[i + 1] = -coefficient[i];
  policy.backward_logit(data.batch(), coefficient);
  auto const by_logit = gradient_of(policy);

  outcome<P> const full(start, data, coefficient);
  for (std::size_t i = 0; i != 60; i += 2) {
    double const difference = static_cast<double>(logit[i]) - static_cast<double>(logit[i + 1]);
    double const expected =
        static_cast<double>(full.log_prob[i]) - static_cast<double>(full.log_prob[i + 1]);
    CHECK(difference == Approx(expected).margin(tolerance));
    // Not the same numbers: log-probabilities are below 0 whatever the logits are.
    CHECK(full.log_prob[i] < 0);
  }
  CHECK(same_bytes(by_logit, full.gradient));
}

/// Ids, sizes and offsets that do not fit are refused by every member, by name, value and limit,
/// and nothing is remembered of them.
template <class P>
void check_refusals(P policy, std::string const& name) {
  using Catch::Matchers::Contains;
  using T = typename P::value_type;
  auto const prompts = static_cast<std::uint32_t>(policy.prompts());
  auto const completions = static_cast<std::uint32_t>(policy.completions());
  std::vector<T> two(2);
  std::vector<T> three(3);
  auto const refused = [&](choice_batch const& batch, std::vector<T>& column,
                           std::string const& why) {
    CHECK_THROWS_WITH(policy.log_prob(batch, column), Contains(name + "::log_prob: " + why));
    CHECK_THROWS_WITH(policy.logit(batch, column), Contains(name + "::logit: " + why));
    CHECK_THROWS_WITH(policy.backward(batch, column), Contains(name + "::backward: " + why));
    CHECK_THROWS_WITH(policy.backward_logit(batch, column), Contains(name + "::backward: " + why));
    CHECK_THROWS_AS(policy.log_prob(batch, column), precondition_error);
  };
  std::vector<std::uint32_t> const first = {0};
  std::vector<std::uint32_t> const both = {0, 1};
  std::vector<std::size_t> const offset = {0, 2};
  std::vector<std::uint32_t> const bad_prompt = {prompts};
  refused({bad_prompt, both, offset}, two,
          "prompt of group 0 is " + std::to_string(prompts) + ", expected less than " +
              std::to_string(prompts));
  std::vector<std::uint32_t> const bad_completion = {0, completions};
  refused({first, bad_completion, offset}, two,
          "completion 1 is " + std::to_string(completions) + ", expected less than " +
              std::to_string(completions));
  refused({first, both, offset}, three, "the column of values has 3 elements, expected 2");
  std::vector<std::size_t> const short_offset = {0};
  refused({first, both, short_offset}, two, "batch.offset has 1 elements, expected 2");
  std::vector<std::size_t> const late_offset = {1, 2};
  refused({first, both, late_offset}, two,
          "the part of batch.completion before its first group has 1");
  std::vector<std::size_t> const early_end = {0, 1};
  refused({first, both, early_end}, two,
          "the batch up to its last offset has 1 elements, expected 2");
  std::vector<std::uint32_t> const thrice = {0, 0, 0};
  std::vector<std::size_t> const falling = {0, 2, 1, 2};
  refused({thrice, both, falling}, two, "offset falls from 2 to 1 in group 1");

  std::vector<T> row(completions);
  CHECK_THROWS_WITH(policy.log_probs(prompts, row),
                    Contains(name + "::log_probs: prompt is " + std::to_string(prompts)));
  row.pop_back();
  CHECK_THROWS_WITH(policy.log_probs(0, row), Contains(name + "::log_probs: out has"));

  policy.finish_backward();
  auto const gradient = gradient_of(policy);
  CHECK(std::all_of(gradient.begin(), gradient.end(), [](T x) { return x == 0; }));
}

/// A copy is another policy, and views of parameters stay valid while the policy works.
template <class P>
void check_value_semantics(P policy, choice_data const& data) {
  using T = typename P::value_type;
  std::vector<T> before(data.completion.size());
  std::vector<T> after(before.size());
  part_of_batch const whole(data, 0, data.size());
  auto const views = policy.parameters();
  policy.log_prob(whole.batch, before);
  P copy = policy;
  fill_parameters(policy, 999);
  copy.log_prob(whole.batch, after);
  CHECK(same_bytes(before, after));
  policy.log_prob(whole.batch, after);
  CHECK(!same_bytes(before, after));
  auto const again = policy.parameters();
  REQUIRE(views.size() == again.size());
  for (std::size_t i = 0; i != views.size(); ++i) {
    CHECK(views[i].value.data() == again[i].value.data());
    CHECK(views[i].gradient.data() == again[i].gradient.data());
    CHECK(views[i].gradient.size() == views[i].value.size());
    CHECK(views[i].name == again[i].name);
    for (std::size_t j = 0; j != i; ++j) CHECK(views[i].name != views[j].name);
  }
}

}  // namespace prefer::test
