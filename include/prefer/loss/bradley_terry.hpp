// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <prefer/batch/column_rules.hpp>
#include <prefer/loss/loss.hpp>

namespace prefer::inline v0_1 {

/// The Bradley-Terry reward model: scores are trained to rank pairs. The policy is here any model that gives one score per
/// completion in place of log_prob.
///
///   loss = softplus(-(s_chosen - s_rejected - margin)) + centering * (s_chosen + s_rejected)^2,  s = log_prob
///
/// Reads   policy log_prob of both completions, here a score of either sign; target_margin per pair where given
/// Units   nats: a difference of scores is a difference of log-odds
/// Errors  centering < 0 is refused
/// Source  Bradley and Terry 1952; margin: Touvron et al. 2023 (Llama 2), arXiv:2307.09288; centering: Eisenstein et al.
///         2023, arXiv:2312.09244. TRL's documentation recommends 0.01
/// TRL     RewardTrainer, center_rewards_coefficient
struct bradley_terry {
  static constexpr std::size_t arity = 2;
  static constexpr char const* name = "bradley_terry";
  static constexpr batch_meaning batch_means = {.policy_is_score = true};

  double margin = 0.0;
  non_negative centering = 0.0;

  constexpr auto operator()(auto const& pair) const {
    return softplus(pair.target_margin_or(margin) - pair.log_prob_margin()) +
           weighted(centering, square(pair.chosen.log_prob + pair.rejected.log_prob));
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) {
    visit("margin", self.margin);
    visit("centering", self.centering);
  }
};

}  // namespace prefer::inline v0_1
