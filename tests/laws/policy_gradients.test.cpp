// SPDX-License-Identifier: MIT
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include <prefer/loss/dpo.hpp>
#include <prefer/loss/grpo.hpp>
#include <prefer/loss/ppo.hpp>
#include <prefer/loss/rloo.hpp>
#include <prefer/model/bigram.hpp>
#include <prefer/model/values.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/train/group_methods.hpp>
#include <prefer/train/ppo_method.hpp>
#include <prefer/train/rollouts.hpp>
#include <prefer/train/sampled.hpp>
#include <prefer/train/trainer.hpp>

// Where methods that write their own examples end, against start * exp(reward / beta) / Z. Of a budget of one token the
// policy is a bandit with three actions, of two tokens it can be any distribution over nine sequences.

namespace {

using namespace prefer;
using numbers = std::vector<double>;
using chain = bigram<double>;

constexpr std::uint32_t prompt = 3;  // is never written
constexpr std::size_t actions = 3;
constexpr double beta = 1.0;

double reward(std::uint32_t, std::span<std::uint32_t const> y) {
  static constexpr double of[actions][actions] = {{0, 1, -1}, {2, -0.5, 0.5}, {-1, 0, 1.5}};
  return of[y[0]][y.size() == 1 ? 0 : y[1]];
}

struct problem {
  std::size_t tokens;
  token_table table = {};
  chain policy{4, table, logits()};
  frozen<chain> reference{policy};
  state_values<double> values{4, table};

  static numbers logits() {
    double const never = -std::numeric_limits<double>::infinity();
    return {0.5, 0, -0.5, never, 0, 0.25, 0, never, -0.25, 0, 0.5, never, 0, -0.5, 0.25, never};
  }

  /// Log-probabilities of all sequences, the first token counting most.
  [[nodiscard]] numbers log_probs(chain const& of) const {
    numbers first(4), second(4), out;
    of.token_log_probs(prompt, first);
    for (std::uint32_t a = 0; a != actions; ++a) {
      of.token_log_probs(a, second);
      if (tokens == 1) out.push_back(first[a]);
      for (std::uint32_t b = 0; tokens == 2 && b != actions; ++b)
        out.push_back(first[a] + second[b]);
    }
    return out;
  }
  [[nodiscard]] double reward_of(std::size_t y) const {
    auto const a = static_cast<std::uint32_t>(tokens == 1 ? y : y / actions);
    std::uint32_t const both[] = {a, static_cast<std::uint32_t>(y % actions)};
    return reward(prompt, std::span(both).first(tokens));
  }
  /// start * exp(reward / beta) / Z, as logarithms.
  [[nodiscard]] numbers optimum() const {
    numbers out = log_probs(reference.policy());
    double total = 0.0;
    for (std::size_t y = 0; y != out.size(); ++y) {
      out[y] += reward_of(y) / beta;
      total += std::exp(out[y]);
    }
    for (double& each : out) each -= std::log(total);
    return out;
  }
  /// beta * start / (level - reward), with the level that makes it a distribution: where the gradient of the expected reward
  /// minus beta * KL(start || policy) is 0. By bisection, because the sum falls with the level.
  [[nodiscard]] numbers optimum_of_the_other_direction() const {
    auto const start = log_probs(reference.policy());
    double low = 0.0;
    for (std::size_t y = 0; y != start.size(); ++y) low = std::fmax(low, reward_of(y));
    double high = low + 100.0;
    numbers out(start.size());
    for (int i = 0; i != 200; ++i) {
      double const level = 0.5 * (low + high);
      double total = 0.0;
      for (std::size_t y = 0; y != start.size(); ++y) {
        out[y] = start[y] + std::log(beta / (level - reward_of(y)));
        total += std::exp(out[y]);
      }
      (total > 1.0 ? low : high) = level;
    }
    return out;
  }
  /// KL(policy || aim), nats.
  [[nodiscard]] double distance(numbers const& aim) const {
    auto const now = log_probs(policy);
    double out = 0.0;
    for (std::size_t y = 0; y != now.size(); ++y) out += std::exp(now[y]) * (now[y] - aim[y]);
    return out;
  }

  template <class L>
  void train(L const& loss, auto& source, std::uint64_t steps) {
    trainer run(policy, loss, reference, source,
                {.steps = steps, .rate = learning_rate::linear({.peak = 0.1, .steps = steps})});
    run.run();
  }
  template <class L>
  void learn(L const& loss, auto method, rollout_options how, std::uint64_t steps) {
    how.sampling.max_tokens = tokens;
    how.seed = 5;
    rollouts source(policy, table, std::vector<std::uint32_t>(how.prompts, prompt), &reward,
                    reference, method, how);
    train(loss, source, steps);
  }
};

}  // namespace

TEST_CASE("law: PPO, RLOO, REINFORCE and online DPO end in start * exp(reward / beta) / Z",
          "[laws][optimum][policy_gradient]") {
  // 300 rollouts of 64 completions, a step each; of PPO 150 of them, in four steps each.
  for (std::size_t const tokens : {1U, 2U}) {
    CAPTURE(tokens);
    kl_control const kl{.coefficient = beta};
    {
      problem p{.tokens = tokens};
      REQUIRE(p.distance(p.optimum()) > 0.2);
      p.learn(clipped_surrogate{}, ppo_method(p.values, {.kl = kl, .value = {.rate = 0.1}}),
              {.prompts = 64, .completions = 1, .epochs = 2, .minibatches = 2}, 600);
      CHECK(p.distance(p.optimum()) < 1e-2);
    }
    {
      problem p{.tokens = tokens};
      p.learn(rloo{}, rloo_method({.kl = kl}), {.prompts = 1, .completions = 64}, 300);
      CHECK(p.distance(p.optimum()) < 1e-2);
    }
    {
      problem p{.tokens = tokens};
      p.learn(reinforce{}, reinforce_method({.kl = kl}), {.prompts = 64, .completions = 1}, 300);
      CHECK(p.distance(p.optimum()) < 1e-2);
    }
  }
  problem p{.tokens = 1};
  sampled source(p.policy, p.table, std::vector<std::uint32_t>(64, prompt),
                 drawn_preference{bradley_terry_preference{&reward}},
                 {.prompts_per_step = 64, .sampling = {.max_tokens = 1}, .seed = 5});
  p.train(dpo{.beta = beta}, source, 300);
  CHECK(p.distance(p.optimum()) < 1e-2);
}

TEST_CASE("law: GRPO's KL term leads to the optimum of the other direction",
          "[laws][optimum][policy_gradient]") {
  // On a bandit the gradient of k3 is that of KL(start || policy).
  problem p{.tokens = 1};
  auto const aim = p.optimum_of_the_other_direction();
  p.learn(grpo{.beta = beta}, grpo_method({.scale = reward_scale::none}),
          {.prompts = 1, .completions = 64}, 300);
  CHECK(p.distance(aim) < 2e-3);
  CHECK(p.distance(p.optimum()) > 1e-2);
}
