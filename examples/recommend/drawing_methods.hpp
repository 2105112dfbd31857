// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "methods.hpp"

namespace recommend {

/// What a training takes that draws items from its policy and has them judged by a reward model.
struct drawing_task {
  model& policy;
  model const& start;
  reward_model& reward;
  std::vector<std::uint32_t> people;  ///< who is asked
  study_options const& options;
  method_options const& how;
  double strength = 0.0;
  std::uint64_t seed = 0;
  prefer::executor threads = {};
  training_guard guard = {};
  std::string unit;
  /// What is told which policy moves, before it does.
  std::function<void(model&)> moves = {};
};

/// Trains by online_dpo, ppo, rloo or reinforce, with as many draws as DPO has completions in its pairs. Gives how many.
///
/// Errors  program::stop
std::uint64_t train_by_drawing(std::string const& method, drawing_task const& task);

/// Pairs of items that a policy draws, each person's `count`; the reward model says with the odds of the difference which is
/// chosen. Two equal items make no pair.
[[nodiscard]] prefer::choice_data judged_draws(model const& policy, reward_model& reward,
                                               std::vector<std::uint32_t> const& people,
                                               std::size_t count, std::uint64_t seed,
                                               std::uint64_t round);

}  // namespace recommend
