// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

#include "gao.hpp"
#include "world.hpp"

namespace rlhf_claims {

/// PPO by sampling on the bandit, with no KL penalty: what it passes on its way to the best action by `learned`. `at` counts
/// completions that were written.
[[nodiscard]] optimised_path ppo_path(listed_problem const& of, numbers const& learned,
                                      std::uint64_t seed);

/// What may be changed of PPO on sequences.
struct ppo_setting {
  bool whiten_advantages = false;
  std::size_t batch = 16;  ///< completions of a rollout
  bool moving_reference =
      false;  ///< takes in a hundredth of the policy at every step; else the start
  double rate = 0.03;
};
inline constexpr double ppo_beta = 0.5;               ///< KL coefficient
inline constexpr std::size_t ppo_completions = 8192;  ///< that are written in all

/// PPO by sampling on the sequences, by a learned reward: the policy in the end, log_prob of each completion.
[[nodiscard]] numbers trained_by_ppo(sequence_world const& world, numbers const& learned,
                                     ppo_setting const& how, std::uint64_t seed);

}  // namespace rlhf_claims
