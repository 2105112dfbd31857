// SPDX-License-Identifier: MIT
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <catch2/catch.hpp>

#include <prefer/advantage/baselines.hpp>
#include <prefer/advantage/generalised_advantages.hpp>
#include <prefer/advantage/steps.hpp>
#include <prefer/batch/choices.hpp>
#include <prefer/batch/token_table.hpp>
#include <prefer/loss/grpo.hpp>
#include <prefer/loss/ppo.hpp>
#include <prefer/loss/rloo.hpp>
#include <prefer/model/bigram.hpp>
#include <prefer/model/tabular.hpp>
#include <prefer/objective/evaluate.hpp>
#include <prefer/scalar/kl_estimators.hpp>

#include "support/finite_difference.hpp"

// Policy gradients without sampling: every sequence that a policy over three tokens can write, weighted by its probability.
// The score-function estimator, averaged so, is compared with differences of the expected reward itself.

namespace {

using namespace prefer;
using numbers = std::vector<double>;

constexpr std::size_t vocabulary = 3;
constexpr std::size_t length = 3;
constexpr double beta = 0.3;

double dot(numbers const& a, numbers const& b) {
  double out = 0.0;
  for (std::size_t i = 0; i != a.size(); ++i) out += a[i] * b[i];
  return out;
}
double distance(numbers const& a, numbers const& b) {
  double out = 0.0;
  for (std::size_t i = 0; i != a.size(); ++i) out = std::fmax(out, std::fabs(a[i] - b[i]));
  return out;
}
numbers times(double factor, numbers of) {
  for (double& each : of) each *= factor;
  return of;
}
numbers sum(numbers a, numbers const& b) {
  for (std::size_t i = 0; i != a.size(); ++i) a[i] += b[i];
  return a;
}
numbers waves(double amplitude, double frequency) {
  numbers out;
  for (std::size_t i = 0; i != vocabulary * vocabulary; ++i) {
    out.push_back(amplitude * std::sin(frequency * static_cast<double>(i + 1)));
  }
  return out;
}

struct markov {
  token_table table = token_table::all_of_length(vocabulary, length);
  bigram<double> policy{vocabulary, table, waves(0.8, 1.3)};
  bigram<double> start{vocabulary, table, waves(0.5, 2.1)};
  choice_data all;
  numbers reward;  // of whole sequences
  std::vector<std::size_t> offset;

  markov() {
    for (std::uint32_t y = 0; y != table.size(); ++y) {
      all.add_labelled(0, y, true);
      reward.push_back(std::cos(1.7 * y));
    }
    policy.token_offsets(all.batch(), offset);
  }

  static numbers log_prob(bigram<double>& of, choice_data const& data) {
    numbers out(data.size());
    of.log_prob(data.batch(), out);
    return out;
  }
  numbers token_log_prob(bigram<double>& of) const {
    numbers out(offset.back());
    of.token_log_prob(all.batch(), out);
    return out;
  }
  numbers probability() {
    auto out = log_prob(policy, all);
    for (double& each : out) each = std::exp(each);
    return out;
  }
  numbers log_ratio() { return sum(log_prob(policy, all), times(-1.0, log_prob(start, all))); }

  double expected_reward() { return dot(probability(), reward); }
  double kl() { return dot(probability(), log_ratio()); }
  double reverse_kl() {
    auto p = log_prob(start, all);
    for (double& each : p) each = std::exp(each);
    return -dot(p, log_ratio());
  }
  double objective() { return expected_reward() - beta * kl(); }

  /// sum_y coefficient_y * d log p(y) / d logits
  numbers gradient(numbers const& coefficient) {
    auto const logits = policy.parameters()[0];
    for (double& g : logits.gradient) g = 0.0;
    (void)log_prob(policy, all);
    policy.backward(all.batch(), coefficient);
    policy.finish_backward();
    return {logits.gradient.begin(), logits.gradient.end()};
  }
  /// The same of tokens.
  numbers token_gradient(numbers const& coefficient) {
    auto const logits = policy.parameters()[0];
    for (double& g : logits.gradient) g = 0.0;
    (void)token_log_prob(policy);
    policy.token_backward(all.batch(), coefficient);
    policy.finish_backward();
    return {logits.gradient.begin(), logits.gradient.end()};
  }
  /// By differences: errs by 1e-12, of rounding.
  numbers difference(double (markov::*of)()) {
    auto const logits = policy.parameters()[0];
    numbers out;
    for (double& x : logits.value) {
      double const at = x;
      out.push_back(static_cast<double>(test::derivative(
          [&](long double moved) -> long double {
            x = static_cast<double>(moved);
            return (this->*of)();
          },
          at, 0x1p-8L)));
      x = at;
    }
    return out;
  }
  numbers weighted(numbers of) {
    auto const p = probability();
    for (std::size_t y = 0; y != of.size(); ++y) of[y] *= p[y];
    return of;
  }
};

/// Of the slope of a loss with the given scores, the direction of ascent, averaged over all sequences.
template <class L>
numbers ascent(L const& loss, markov& m, numbers const& score) {
  auto const now = markov::log_prob(m.policy, m.all);
  auto const p = m.probability();
  auto const result =
      evaluate(loss, unpaired_columns{.policy = now, .score = score, .weight = p, .behaviour = now},
               {.reduce = reduction::none});
  return m.gradient(times(-1.0, result.coefficient));
}

/// The same token by token, from rewards and values per step.
numbers token_ascent(markov& m, numbers const& step_reward, numbers const& value,
                     advantage_horizon const& horizon) {
  auto const now = m.token_log_prob(m.policy);
  auto const found = generalised_advantages(step_reward, value, m.offset, horizon);
  numbers weight;
  for (double const p : m.probability()) weight.insert(weight.end(), length, p);
  auto const result = evaluate(
      clipped_surrogate{},
      unpaired_columns{.policy = now, .score = found.advantage, .weight = weight, .behaviour = now},
      {.reduce = reduction::none});
  return m.token_gradient(times(-1.0, result.coefficient));
}

/// What is to be expected of a sequence's rewards from step t on, given the tokens before t: of each step of each sequence.
numbers exact_values(markov& m, numbers const& step_reward) {
  auto const p = m.probability();
  numbers out;
  for (std::uint32_t y = 0; y != m.table.size(); ++y) {
    for (std::size_t t = 0; t != length; ++t) {
      double mass = 0.0;
      double total = 0.0;
      for (std::uint32_t z = 0; z != m.table.size(); ++z) {
        bool same = true;
        for (std::size_t s = 0; s != t; ++s) {
          same = same && m.table.tokens(y)[s] == m.table.tokens(z)[s];
        }
        if (!same) continue;
        mass += p[z];
        for (std::size_t s = t; s != length; ++s) total += p[z] * step_reward[z * length + s];
      }
      out.push_back(total / mass);
    }
  }
  return out;
}

/// Some number of the tokens before a step, and of no other.
numbers some_values(markov const& m) {
  numbers out;
  for (std::uint32_t y = 0; y != m.table.size(); ++y) {
    double of_prefix = 0.4;
    for (std::size_t t = 0; t != length; ++t) {
      out.push_back(of_prefix);
      of_prefix = std::sin(5.0 * of_prefix + m.table.tokens(y)[t]);
    }
  }
  return out;
}

constexpr double tolerance = 1e-11;

}  // namespace

TEST_CASE("policy gradient: over all sequences it is the derivative of the expected reward",
          "[advantage][policy_gradient]") {
  markov m;
  auto const exact = m.difference(&markov::expected_reward);
  CHECK(distance(ascent(reinforce{}, m, m.reward), exact) < tolerance);
  // Whatever baseline is subtracted.
  auto score = m.reward;
  for (double& each : score) each -= 3.75;
  CHECK(distance(ascent(reinforce{}, m, score), exact) < tolerance);
  CHECK(distance(ascent(rloo{}, m, score), exact) < tolerance);
}

TEST_CASE(
    "policy gradient: k1 in the reward is the derivative of the KL divergence, by sequence and by "
    "token",
    "[advantage][policy_gradient]") {
  markov m;
  auto const exact = m.difference(&markov::objective);
  auto const score = penalised_scores(m.reward, markov::log_prob(m.policy, m.all),
                                      markov::log_prob(m.start, m.all), beta);
  CHECK(distance(ascent(rloo{}, m, score), exact) < tolerance);

  auto const by_step = step_rewards(m.token_log_prob(m.policy), m.token_log_prob(m.start), m.reward,
                                    m.offset, m.offset, {.coefficient = beta});
  // With lambda 1 whatever the values are, if they depend on the tokens before alone.
  CHECK(distance(token_ascent(m, by_step, some_values(m), {.lambda = 1.0}), exact) < tolerance);
  // With any lambda if they are what is to be expected.
  auto const values = exact_values(m, by_step);
  for (double const lambda : {0.0, 0.5, 1.0}) {
    CHECK(distance(token_ascent(m, by_step, values, {.lambda = lambda}), exact) < tolerance);
  }
  // With other values and a smaller lambda it is biased, and so it is with a discount.
  CHECK(distance(token_ascent(m, by_step, some_values(m), {.lambda = 0.5}), exact) > 1e-2);
  CHECK(distance(token_ascent(m, by_step, values, {.discount = 0.5}), exact) > 1e-2);
}

TEST_CASE(
    "policy gradient: of the three estimators in the reward only k1 gives the gradient of the KL "
    "divergence",
    "[advantage][policy_gradient]") {
  markov m;
  auto const exact = m.difference(&markov::kl);
  auto const in_reward = [&](auto const& estimator) {
    numbers score;
    for (double const r : m.log_ratio()) score.push_back(estimator(r));
    return ascent(reinforce{}, m, score);
  };
  CHECK(distance(in_reward([](double r) { return kl_k1(r); }), exact) < tolerance);
  CHECK(distance(in_reward([](double r) { return kl_k2(r); }), exact) > 1e-2);
  CHECK(distance(in_reward([](double r) { return kl_k3(r); }), exact) > 1e-2);
}

TEST_CASE(
    "policy gradient: in the loss k1 gives nothing, k2 the KL divergence, k3 that of the other "
    "direction",
    "[advantage][policy_gradient]") {
  // The slope of an estimator by log_prob at r: 1, r and 1 - exp(-r).
  markov m;
  numbers one, ratio, third;
  for (double const r : m.log_ratio()) {
    using S = dual<double, 1>;
    auto const at = S::variable(r, 0);
    one.push_back(kl_k1(at).partial[0]);
    ratio.push_back(kl_k2(at).partial[0]);
    third.push_back(kl_k3(at).partial[0]);
  }
  CHECK(distance(m.gradient(m.weighted(one)), numbers(vocabulary * vocabulary)) < tolerance);
  CHECK(distance(m.gradient(m.weighted(ratio)), m.difference(&markov::kl)) < tolerance);
  CHECK(distance(m.gradient(m.weighted(third)), m.difference(&markov::reverse_kl)) < tolerance);
}

TEST_CASE("policy gradient: the KL term of grpo is, token by token, that of k3",
          "[advantage][policy_gradient]") {
  markov m;
  auto const now = m.token_log_prob(m.policy);
  auto const reference = m.token_log_prob(m.start);
  numbers weight;
  for (double const p : m.probability()) weight.insert(weight.end(), length, p);
  numbers const none(now.size());
  auto const result = evaluate(
      grpo{.beta = beta},
      unpaired_columns{
          .policy = now, .reference = reference, .score = none, .weight = weight, .behaviour = now},
      {.reduce = reduction::none});
  // Its expectation is the KL divergence of whole sequences.
  double total = 0.0;
  for (double const each : result.value) total += each;
  CHECK(total == Approx(beta * m.kl()).epsilon(1e-13));
  // Its gradient is not that of the KL divergence: how often the policy comes to a state counts as given.
  auto const slope = m.token_gradient(result.coefficient);
  CHECK(distance(slope, times(beta, m.difference(&markov::kl))) > 1e-3);
  // It is p - q for each token of a state, of the policy and of the reference, times how often the state is met; over a
  // state's tokens these add up to 0, so that nothing comes from the softmax's normaliser.
  numbers expected(vocabulary * vocabulary);
  for (std::size_t t = 0; t != now.size(); ++t) {
    std::size_t const y = t / length;
    std::size_t const state =
        t % length == 0 ? 0 : m.table.tokens(static_cast<std::uint32_t>(y))[t % length - 1];
    std::size_t const token = m.table.tokens(static_cast<std::uint32_t>(y))[t % length];
    expected[state * vocabulary + token] +=
        beta * weight[t] * (1.0 - std::exp(reference[t] - now[t]));
  }
  CHECK(distance(slope, expected) < tolerance);
}

TEST_CASE("policy gradient: followed exactly it ends at start * exp(reward / beta) / Z",
          "[advantage][policy_gradient]") {
  numbers const start = {0.1, 0.3, 0.2, 0.25, 0.15};
  numbers const worth = {0.5, -0.25, 1.0, 0.0, -0.5};
  numbers log_start, target;
  double z = 0.0;
  for (std::size_t y = 0; y != start.size(); ++y) {
    log_start.push_back(std::log(start[y]));
    target.push_back(start[y] * std::exp(worth[y] / beta));
    z += target.back();
  }
  tabular<double> policy(1, start.size(), log_start);
  choice_data all;
  for (std::uint32_t y = 0; y != start.size(); ++y) all.add_labelled(0, y, true);
  auto const logits = policy.parameters()[0];
  numbers now(start.size());
  // Near the end an error loses at least 9 * beta * (smallest probability) = 0.0117 of itself in a step: 2000 leave 1e-10.
  for (int step = 0; step != 2000; ++step) {
    policy.log_prob(all.batch(), now);
    numbers p;
    for (double const each : now) p.push_back(std::exp(each));
    auto const score = penalised_scores(worth, now, log_start, beta);
    auto const result =
        evaluate(reinforce{}, unpaired_columns{.policy = now, .score = score, .weight = p},
                 {.reduce = reduction::none});
    for (double& g : logits.gradient) g = 0.0;
    policy.backward(all.batch(), result.coefficient);
    policy.finish_backward();
    for (std::size_t y = 0; y != now.size(); ++y) logits.value[y] -= 9.0 * logits.gradient[y];
  }
  for (std::size_t y = 0; y != now.size(); ++y) {
    CHECK(std::exp(now[y]) == Approx(target[y] / z).epsilon(1e-8));
  }
}
