// SPDX-License-Identifier: MIT
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include <prefer/aggregation/mean_tokens.hpp>
#include <prefer/batch/token_table.hpp>
#include <prefer/loss/compose.hpp>
#include <prefer/loss/nash_md.hpp>
#include <prefer/model/bigram.hpp>
#include <prefer/parallel/thread_processes.hpp>
#include <prefer/policy/aggregated.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/reference/none.hpp>
#include <prefer/train/sampled.hpp>
#include <prefer/train/trainer.hpp>

#include "small_problem.hpp"

// Losses whose examples are the tokens of completions.

namespace {

using namespace prefer;
using chain = bigram<double>;
using ids = std::vector<std::uint32_t>;

/// -score * log_prob of each token: its minimum is known for a policy that may give any distribution to each state.
struct weighted_nll {
  static constexpr std::size_t arity = 1;
  static constexpr auto example = example_of::token;
  constexpr auto operator()(auto const& token) const { return -(token.score * token.log_prob); }
};

/// The clipped term of Proximal Policy Optimization, the reference being the policy that wrote the tokens:
///
///   loss = -min(ratio * advantage, clamp(ratio, 1 - clip, 1 + clip) * advantage),  ratio = exp(log_ratio)
struct clipped {
  static constexpr std::size_t arity = 1;
  static constexpr auto example = example_of::token;
  double clip = 0.2;
  constexpr auto operator()(auto const& token) const {
    auto const ratio = exp(token.log_ratio());
    auto const gain = token.score * ratio;
    auto const bounded = token.score * clamp(ratio, 1.0 - clip, 1.0 + clip);
    return select(gain > bounded, -bounded, -gain);
  }
};

/// Squared distance of each log-ratio from half the length of what is desirable, and from 0 else; with a beta: whether
/// the columns of a completion reach its tokens.
struct everything {
  static constexpr std::size_t arity = 1;
  static constexpr auto example = example_of::token;
  constexpr auto operator()(auto const& token) const {
    auto const wanted =
        select(token.desirable, 0.5 * token.completion_length, 0.0 * token.completion_length);
    return token.beta_or(9.0) * square(token.log_ratio() - wanted);
  }
};

struct problem {
  token_table table;
  choice_data data;

  problem() {
    for (auto const& tokens :
         std::vector<ids>{{1, 2, 3}, {2, 2}, {0, 1, 3, 3}, {3, 0, 0}, {1, 1, 2}, {2}}) {
      add(static_cast<std::uint32_t>(data.size() % 4), tokens);
    }
    data.score = {1.0F, 2.0F, 0.5F, 1.5F, 3.0F, 0.25F};
  }
  void add(std::uint32_t prompt, ids const& tokens) {
    data.add_labelled(prompt, table.add(tokens), data.size() % 2 == 0);
  }
};

/// f(group, state, token) for every token.
template <class F>
void for_each_token(problem const& p, F const& f) {
  for (std::size_t g = 0; g != p.data.size(); ++g) {
    std::uint32_t state = p.data.prompt[g];
    for (std::uint32_t const token : p.table.tokens(p.data.completion[g])) {
      f(g, state, token);
      state = token;
    }
  }
}

std::vector<double> uneven(std::size_t count) {
  std::vector<double> out;
  for (std::size_t i = 0; i != count; ++i) {
    out.push_back(0.4 * std::sin(3.0 * static_cast<double>(i)));
  }
  return out;
}

}  // namespace

TEST_CASE("losses over tokens: weighted likelihood reaches the shares of the weights",
          "[train][tokens]") {
  problem const p;
  chain policy(4, p.table);
  no_reference<double> reference;
  trainer run(policy, weighted_nll{}, reference, p.data,
              {.batch_size = p.data.size(),
               .steps = 1500,
               .rate = learning_rate::linear({.peak = 0.1, .steps = 1500})});
  run.run();
  // For each state, -sum_v weight_v log p_v is least for p_v = weight_v / sum of weights.
  double weight[4][4] = {};
  double total[4] = {};
  for_each_token(p, [&](std::size_t g, std::uint32_t state, std::uint32_t token) {
    weight[state][token] += static_cast<double>(p.data.score[g]);
    total[state] += static_cast<double>(p.data.score[g]);
  });
  std::vector<double> log_p(4);
  for (std::uint32_t state = 0; state != 4; ++state) {
    policy.token_log_probs(state, log_p);
    for (std::size_t v = 0; v != 4; ++v) {
      CAPTURE(state, v);
      CHECK(std::exp(log_p[v]) == Approx(weight[state][v] / total[state]).margin(2e-3));
    }
  }
}

TEST_CASE("losses over tokens: a step follows the gradient of the mean over tokens",
          "[train][tokens]") {
  problem p;
  p.data.length = p.table.lengths(p.data.completion);
  p.data.weight = {1, 0.5F, 2, 1, 0, 3};
  p.data.beta = {0.1F, 0.2F, 0.3F, 0.4F, 0.5F, 0.6F};
  chain start(4, p.table);
  auto reference = frozen(start);
  auto const values = uneven(16);
  auto const loss_at = [&](std::vector<double> const& logits) {
    chain policy(4, p.table, logits);
    std::vector<double> row(4);
    double sum = 0;
    double tokens = 0;
    for_each_token(p, [&](std::size_t g, std::uint32_t state, std::uint32_t token) {
      policy.token_log_probs(state, row);
      double const log_ratio = row[token] + std::log(4.0);  // the reference is uniform
      double const wanted = p.data.label[g] > 0 ? 0.5 * static_cast<double>(p.data.length[g]) : 0.0;
      sum += static_cast<double>(p.data.weight[g]) * static_cast<double>(p.data.beta[g]) *
             (log_ratio - wanted) * (log_ratio - wanted);
      tokens += 1;
    });
    return sum / tokens;
  };
  for (std::size_t const micro : {0U, 1U, 4U}) {
    chain policy(4, p.table, values);
    double const rate = 1e-3;
    trainer run(policy, everything{}, reference, p.data,
                {.batch_size = p.data.size(),
                 .micro_batch_size = micro,
                 .rate = rate * small::gradient_descent_scale,
                 .optimizer = small::gradient_descent});
    auto const report = run.step();
    CHECK(report.loss == Approx(loss_at(values)).epsilon(1e-12));
    // Errors of the difference are h^2 |f'''| / 6 + 2^-52 |f| / h, and 1e-8 of the optimizer's epsilon.
    double const h = 1e-5;
    for (std::size_t i = 0; i != values.size(); ++i) {
      auto above = values;
      auto below = values;
      above[i] += h;
      below[i] -= h;
      double const slope = (loss_at(above) - loss_at(below)) / (2 * h);
      double const moved = (values[i] - policy.parameters()[0].value[i]) / rate;
      CHECK(std::fabs(moved - slope) < 1e-7 * std::fmax(1.0, std::fabs(slope)));
    }
  }
}

TEST_CASE("losses over tokens: a clipped ratio goes to its bound and no further",
          "[train][tokens]") {
  problem p;
  p.data = {};
  p.add(0, ids{1});  // better than expected
  p.add(2, ids{3});  // worse
  p.data.score = {1.0F, -1.0F};
  chain policy(4, p.table);
  auto reference = frozen(policy);
  trainer run(policy, clipped{.clip = 0.2}, reference, p.data,
              {.batch_size = 2,
               .steps = 200,
               .rate = 0.05 * small::gradient_descent_scale,
               .optimizer = small::gradient_descent});
  run.run();
  std::vector<double> log_p(4);
  policy.token_log_probs(0, log_p);
  double const better = std::exp(log_p[1]) * 4;  // from 1/4
  policy.token_log_probs(2, log_p);
  double const worse = std::exp(log_p[3]) * 4;
  // A ratio's gradient by the logits is at most ratio * sqrt(2), so a step moves it by rate / 2 * 2 * 1.2^2 < 0.08.
  CHECK(better >= 1.2);
  CHECK(better < 1.28);
  CHECK(worse <= 0.8);
  CHECK(worse > 0.72);
  CHECK(run.step().loss == Approx(-(1.2 - 0.8) / 2).epsilon(1e-12));  // and moves no more
}

TEST_CASE("losses over tokens: the policy that writes improves by its own advantages",
          "[train][tokens][online]") {
  token_table table;
  chain policy(3, table);
  auto reference = frozen(policy);
  auto const reward = [](std::uint32_t, std::span<std::uint32_t const> y) {
    double twos = 0;
    for (std::uint32_t const token : y) twos += token == 2 ? 1.0 : 0.0;
    return twos;
  };
  sampled source(policy, table, ids(16, 0), with_advantage{reward},
                 {.prompts_per_step = 16, .completions = 4, .sampling = {.max_tokens = 5}});
  trainer run(policy, clipped{}, reference, source, {.steps = 60, .rate = 0.05});
  run.run();
  std::vector<double> log_p(3);
  for (std::uint32_t state = 0; state != 3; ++state) {
    policy.token_log_probs(state, log_p);
    // The reference stays, so each ratio may rise from 1 to 1.2 of a third, where it is clipped.
    CHECK(std::exp(log_p[2]) > 1.15 / 3);
  }
}

TEST_CASE("losses over tokens: multiples and sums are over tokens, whatever weighs them",
          "[train][tokens]") {
  STATIC_REQUIRE(is_over_tokens<weighted_nll>);
  STATIC_REQUIRE(is_over_tokens<decltype(0.5 * weighted_nll{})>);
  STATIC_REQUIRE(is_over_tokens<decltype(weighted_nll{} + 2.0 * clipped{})>);
  STATIC_REQUIRE(is_over_tokens<nash_md>);
  problem const p;
  auto const train = [&](auto& policy, auto const& loss) {
    chain start(4, p.table);
    auto reference = frozen(start);
    trainer run(policy, loss, reference, p.data, {.batch_size = 2, .rate = 0.05});
    run.run();
    return small::state_of(policy);
  };
  chain one(4, p.table), two(4, p.table), plain(4, p.table);
  CHECK(train(one, 0.5 * weighted_nll{} + 0.5 * weighted_nll{}) == train(two, weighted_nll{}));
  // An aggregation says how tokens make a completion, which a loss over tokens does not ask.
  aggregated weighted(chain(4, p.table), mean_tokens{});
  CHECK(train(weighted, weighted_nll{}) == train(plain, weighted_nll{}));
}

TEST_CASE("losses over tokens: several processes share the tokens of a batch", "[train][tokens]") {
  problem p;
  for (float& score : p.data.score) score /= 4.0F;  // nash_md takes them for probabilities
  auto const train = [&](auto const& on) {
    chain policy(4, p.table, uneven(16));
    chain start(4, p.table);
    auto reference = frozen(start);
    trainer run(policy, nash_md{.beta = 0.5}, reference, p.data,
                {.batch_size = 5,
                 .epochs = 3,
                 .rate = small::gradient_descent_scale,
                 .optimizer = small::gradient_descent},
                {}, on);
    run.run();
    return small::state_of(policy);
  };
  auto const expected = train(single_process{});
  for (std::size_t const count : {2U, 3U, 4U}) {
    std::vector<std::vector<double>> all(count);
    thread_processes::run(count, [&](auto const& mine) { all[mine.rank()] = train(mine); });
    for (std::size_t i = 0; i != expected.size(); ++i) {
      CHECK(std::fabs(all[count - 1][i] - expected[i]) < 1e-12);
    }
  }
}

TEST_CASE("losses over tokens: what does not fit is refused", "[train][tokens]") {
  problem p;
  chain policy(4, p.table);
  auto reference = frozen(policy);
  p.data.score.clear();
  CHECK(small::message_of([&] { trainer(policy, weighted_nll{}, reference, p.data); }) ==
        "trainer: this loss reads score, which the data does not have");
  p.data.score = {1, 1, 1, 1, std::nanf(""), 1};
  CHECK(small::message_of([&] { trainer(policy, weighted_nll{}, reference, p.data); }) ==
        "trainer: completion 4 of the data has score nan; expected a finite number");
  p.data.score = {1, 1, 1, 1, 2, 1};
  CHECK(
      small::message_of([&] { trainer(policy, nash_md{}, reference, p.data); }) ==
      "trainer: completion 4 of the data has score 2.000000; expected a probability, from 0 to 1");
}
