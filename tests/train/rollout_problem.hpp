// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <prefer/batch/token_table.hpp>
#include <prefer/loss/grpo.hpp>
#include <prefer/loss/ppo.hpp>
#include <prefer/loss/rloo.hpp>
#include <prefer/model/bigram.hpp>
#include <prefer/model/values.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/train/group_methods.hpp>
#include <prefer/train/ppo_method.hpp>
#include <prefer/train/rollouts.hpp>
#include <prefer/train/trainer.hpp>

#include "train/small_problem.hpp"

/// A language of four tokens, of which the last ends a completion, and policy gradients on it.
namespace small {

inline constexpr std::uint32_t end = 3;
inline constexpr std::size_t longest = 4;

/// Depends on prompt, tokens and length.
inline double reward_of(std::uint32_t prompt, std::span<std::uint32_t const> tokens) {
  double out = 0.25 * prompt;
  for (std::size_t t = 0; t != tokens.size(); ++t) {
    out += std::sin(1.3 * static_cast<double>(tokens[t] * (t + 1) + prompt));
  }
  return out;
}

inline std::vector<double> waves(double amplitude, double frequency) {
  std::vector<double> out;
  for (std::size_t i = 0; i != 16; ++i) {
    out.push_back(amplitude * std::sin(frequency * static_cast<double>(i + 1)));
  }
  return out;
}

struct writing {
  prefer::token_table table;
  prefer::bigram<double> policy{4, table, waves(0.8, 1.3)};
  prefer::bigram<double> start{4, table, waves(0.5, 2.1)};
  prefer::frozen<prefer::bigram<double>> reference{start};
  prefer::state_values<double> values{4, table, 2};
};

/// Three prompts a rollout of seven that there are, so that the last of an epoch has one; 2 * 3 steps in each.
inline constexpr prefer::rollout_options in_pieces = {
    .prompts = 3,
    .completions = 4,
    .epochs = 2,
    .minibatches = 3,
    .sampling = {.max_tokens = longest, .stop_token = end},
    .seed = 11};

inline std::vector<std::uint32_t> seven_prompts() { return {0, 1, 2, 0, 1, 2, 1}; }

/// PPO with everything on, and a KL coefficient that moves.
inline prefer::ppo_options const every_option = {
    .kl = {.coefficient = 0.2, .estimator = prefer::kl_estimator::k3, .target = 0.3},
    .horizon = {.discount = 0.9, .lambda = 0.8},
    .whiten_rewards = true,
    .value = {.rate = prefer::learning_rate::linear({.peak = 0.1, .steps = 40}),
              .max_gradient_norm = 0.5}};

struct by_ppo {
  static constexpr prefer::clipped_surrogate loss{};
  static auto method(writing& on) { return prefer::ppo_method(on.values, every_option); }
};
struct by_reinforce {
  static constexpr prefer::rloo loss{};
  static auto method(writing&) {
    return prefer::reinforce_method({.kl = {.coefficient = 0.2, .target = 0.3}});
  }
};
struct by_rloo {
  static constexpr prefer::rloo loss{};
  static auto method(writing&) {
    return prefer::rloo_method({.kl = {.coefficient = 0.2, .target = 0.3}});
  }
};
struct by_grpo {
  static constexpr prefer::grpo loss{.beta = 0.1, .clip_high = 0.28};
  static auto method(writing&) {
    return prefer::grpo_method(
        {.mean = prefer::token_mean::per_completion, .leave_out_truncated = true});
  }
};

/// Calls use(trainer, source) on a new problem; gives all numbers that training has moved.
template <class By>
std::vector<double> train(prefer::train_options const& how, auto const& use,
                          auto const& processes) {
  writing on;
  prefer::rollouts source(on.policy, on.table, seven_prompts(), &reward_of, on.reference,
                          By::method(on), in_pieces);
  prefer::trainer run(on.policy, By::loss, on.reference, source, how, {}, processes);
  use(run, source);
  auto out = state_of(on.policy);
  for (auto const& each : on.values.parameters()) {
    out.insert(out.end(), each.value.begin(), each.value.end());
  }
  return out;
}

}  // namespace small
