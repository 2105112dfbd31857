// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <prefer/bounded.hpp>
#include <prefer/loss/ppo.hpp>

namespace prefer::inline v0_1 {

/// REINFORCE: raises the log-probability of a completion by its advantage, the score.
///
///   loss = -score * log_prob
///
/// Reads   policy log_prob of each completion, its score
/// Units   that of the score; its value means nothing, its gradient is that of the expected reward where the policy as it
///         is wrote the completions
/// Source  Williams 1992, "Simple statistical gradient-following algorithms"
/// TRL     RLOOTrainer in the first step on a batch
struct reinforce {
  static constexpr std::size_t arity = 1;
  static constexpr char const* name = "reinforce";
  static constexpr batch_meaning batch_means = {.score = score_kind::reward};

  constexpr auto operator()(auto const& example) const {
    return -weighted(example.score, example.log_prob);
  }
};

/// REINFORCE leave-one-out with a clipped ratio: what clipped_surrogate does to tokens, to completions as wholes. The score
/// of a completion is its advantage, which leave_one_out gives.
///
///   loss = -min(ratio * score, clamp(ratio, 1 - clip_low, 1 + clip_high) * score)
///   ratio = exp(log_prob - behaviour log_prob), of whole completions
///
/// Reads   policy and behaviour log_prob of each completion, its score
/// Units   that of the score
/// Errors  clip_low outside [0, 1] or clip_high < 0 is refused
/// Source  Ahmadian et al. 2024, arXiv:2402.14740, which takes one step per batch: the ratio is 1 and this is reinforce
/// TRL     RLOOTrainer
struct rloo {
  static constexpr std::size_t arity = 1;
  static constexpr char const* name = "rloo";
  static constexpr batch_meaning batch_means = {.score = score_kind::reward};

  fraction clip_low = 0.2;
  non_negative clip_high = 0.2;

  constexpr auto operator()(auto const& example) const {
    return detail::clipped_gain(example.behaviour_log_ratio(), example.score, clip_low, clip_high);
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) {
    visit("clip_low", self.clip_low);
    visit("clip_high", self.clip_high);
  }
};

}  // namespace prefer::inline v0_1
