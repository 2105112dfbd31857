// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/reward/reward_model.hpp>
#include <prefer/train/judges.hpp>
#include <prefer/train/options.hpp>

#include "study.hpp"

namespace recommend {

/// The score of a person's item: the logit of a recommender that was trained to rank preferences.
using reward_model = prefer::logit_score<model>;

/// Fits a reward model by Bradley and Terry to the preferences that DPO learns from. As those of language models begin with the
/// model that they will judge, it begins with the start model. `centering` holds scores near 0 (prefer::bradley_terry).
[[nodiscard]] reward_model fit_reward(model const& start, prefer::choice_data const& pairs,
                                      double centering, prefer::train_options const& training,
                                      training_guard const& guard, std::string const& unit);

/// A reward model as the reward of what a policy draws, whose completions are one token, the item. The model is borrowed.
class item_reward {
 public:
  explicit item_reward(reward_model& of) : model_(&of) {}

  void operator()(prefer::written_completions const& written, std::span<double> out) const;
  /// Of the model's parameters, so that a checkpoint belongs to them.
  [[nodiscard]] std::uint64_t identity() const;

 private:
  reward_model* model_;
};

static_assert(prefer::GroupReward<item_reward>);

}  // namespace recommend
