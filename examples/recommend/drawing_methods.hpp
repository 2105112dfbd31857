// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <prefer/train/options.hpp>

#include "reward.hpp"
#include "study.hpp"

namespace recommend {

/// How much is drawn in a training.
struct drawing_amount {
  std::size_t per_step = 2048;   ///< items, of all people together
  std::uint64_t per_person = 0;  ///< at least, where no number of draws at a step is given
  std::uint64_t times = 0;      ///< that items are drawn at a step; 0: until each person had theirs
  std::size_t completions = 4;  ///< of a person at a time, where they are compared
  std::size_t passes = 2;  ///< of ppo over each rollout, so that there is a ratio to be clipped
};

/// What a training takes that draws items from its policy and has them judged by a reward model.
struct drawing_task {
  model& policy;
  model const& start;
  reward_model& reward;
  std::vector<std::uint32_t> people;  ///< who is asked
  drawing_amount amount;
  prefer::train_options training;  ///< its steps follow from the amount
  double strength = 0.0;
  /// In which xpo and nash_md keep what they have worked out of the start's rows; changes no number.
  std::size_t kept_bytes = std::size_t{64} << 20;
  training_guard guard = {};
  std::string unit = {};
  /// What is told which policy moves, before it does.
  std::function<void(model&)> moves = {};
};

/// Trains by online_dpo, xpo, nash_md, ppo, rloo, reinforce or grpo. Gives how many items were drawn.
///
/// Errors  program::stop
std::uint64_t train_by_drawing(std::string const& method, drawing_task const& task);

/// How many steps that takes.
[[nodiscard]] std::uint64_t steps_of(std::string const& method, drawing_task const& task);

/// Items that such a training has drawn after so many of its steps.
[[nodiscard]] std::uint64_t drawn_after(std::string const& method, drawing_task const& task,
                                        std::uint64_t steps);

/// What a round of iterative_dpo took.
struct round_cost {
  std::uint64_t items = 0;  ///< drawn
  std::uint64_t steps = 0;
};

/// A round of iterative_dpo: `count` pairs of each person that the policy draws, then dpo on them, held near the policy as it
/// was.
///
/// Errors  program::stop
round_cost train_in_a_round(drawing_task const& task, std::size_t count, std::uint64_t round);

/// Pairs of items that a policy draws, each person's `count`; the reward model says with the odds of the difference which is
/// chosen. Two equal items make no pair.
[[nodiscard]] prefer::choice_data judged_draws(model const& policy, reward_model& reward,
                                               std::vector<std::uint32_t> const& people,
                                               std::size_t count, std::uint64_t seed,
                                               std::uint64_t round);

}  // namespace recommend
