// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <prefer/batch/column_rules.hpp>
#include <prefer/loss/loss.hpp>

namespace prefer::inline v0_1 {

/// REBEL: the margin of log-ratios is regressed to the difference of rewards.
///
///   loss = (log_ratio_margin / eta - (score_chosen - score_rejected))^2
///
/// The reference is the policy of the round before. Which completion is called chosen does not matter.
///
/// Reads   policy and reference log_prob and the score of both completions: a reward, any finite number
/// Units   squared units of the reward; eta in nats per unit of reward
/// Errors  eta <= 0 is refused
/// Source  Gao et al. 2024, arXiv:2404.16767. The authors' code multiplies the difference of scores by eta instead: eta^2
///         times this loss
/// TRL     none
struct rebel {
  static constexpr std::size_t arity = 2;
  static constexpr char const* name = "rebel";
  static constexpr batch_meaning batch_means = {.score = score_kind::reward};

  positive eta = 1.0;

  constexpr auto operator()(auto const& pair) const {
    return square(pair.log_ratio_margin() / eta - (pair.chosen.score - pair.rejected.score));
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) { visit("eta", self.eta); }
};

}  // namespace prefer::inline v0_1
