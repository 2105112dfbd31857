// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <recommend/ranking.hpp>
#include <recommend/reward.hpp>
#include <recommend/reward_policies.hpp>

#include "../ratings.hpp"
#include "method.hpp"

namespace sweep {

/// What a seed of ratings gives to the methods: the start model, a reward model fitted on the labelled pairs, and those who
/// judge. A prompt is a person, a completion an item, and a policy that draws is recommend's.
///
/// The reward model begins with the start model, as that of recommend does. What maximises its reward minus beta times the
/// divergence is known, start * exp(reward / beta) / Z, and what it is worth to people is not.
class ratings_arena {
 public:
  ratings_arena(ratings const& of, ratings_pairs const& given, std::uint64_t seed,
                method_options const& options);

  [[nodiscard]] recommend::model const& start() const { return start_; }
  /// Nats of preference, up to a constant of each person.
  [[nodiscard]] recommend::reward_model const& reward() const { return reward_; }
  /// That the fitting of the reward model took.
  [[nodiscard]] double reward_seconds() const { return reward_seconds_; }
  [[nodiscard]] std::uint64_t reward_peak_bytes() const { return reward_peak_bytes_; }
  /// Of each of these models.
  [[nodiscard]] std::size_t parameters() const { return parameters_; }
  [[nodiscard]] std::vector<std::uint32_t> const& people() const { return people_; }
  [[nodiscard]] std::size_t labels() const { return labels_; }
  /// What a run spends that has drawn so many items: after the labels of the reward model.
  [[nodiscard]] spending spent(std::uint64_t drawn) const {
    return {.labels = labels_, .written = drawn};
  }
  /// What the policy is worth: to people on held-out ratings, and by the reward model.
  [[nodiscard]] progress_point judge(recommend::item_log_probs const& policy, std::uint64_t step,
                                     spending const& spent) const;
  /// Where policies come from that need no training.
  [[nodiscard]] recommend::start_and_reward const& known() const { return known_; }

 private:
  ratings const& of_;
  recommend::model start_;
  std::uint64_t reward_peak_bytes_ = 0;
  double reward_seconds_ = 0.0;  // which the reward model sets
  recommend::reward_model reward_;
  std::size_t parameters_ = 0;
  std::size_t labels_ = 0;
  std::vector<std::uint32_t> people_;
  recommend::start_and_reward known_;
  double start_reward_ = 0.0;
};

}  // namespace sweep
