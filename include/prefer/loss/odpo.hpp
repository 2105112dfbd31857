// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <prefer/batch/column_rules.hpp>
#include <prefer/loss/loss.hpp>

namespace prefer::inline v0_1 {

/// DPO with an offset: a pair whose completions differ much in score must differ much in reward.
///
///   loss = softplus(-(beta * log_ratio_margin - alpha * log(score_chosen - score_rejected)))
///
/// Reads   policy and reference log_prob of both completions, and their score: a reward, that of chosen the higher; beta
///         per pair where given
/// Units   nats
/// Errors  beta <= 0 or alpha < 0 is refused; a chosen score that is not above the rejected one makes a loss
///         that is not finite, or 0: a data set with such a pair is refused, and diagnose finds it
/// Source  Amini et al. 2024, arXiv:2402.10571, and the authors' code, which offers the logarithm of the ratio instead.
///         For offsets of your own: dpo_with_margin
/// TRL     none
struct odpo {
  static constexpr std::size_t arity = 2;
  static constexpr char const* name = "odpo";
  static constexpr batch_meaning batch_means = {.score = score_kind::ordered_reward};

  positive beta = 0.1;
  non_negative alpha = 1.0;

  constexpr auto operator()(auto const& pair) const {
    auto const offset = weighted(alpha, log(pair.chosen.score - pair.rejected.score));
    return softplus(-(pair.beta_or(beta) * pair.log_ratio_margin() - offset));
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) {
    visit("beta", self.beta);
    visit("alpha", self.alpha);
  }
};

/// DPO that asks for a margin, the same for all pairs or one for each: where offsets, length terms and labels' strength
/// go that no other loss has.
///
///   loss = softplus(-(beta * log_ratio_margin - gamma))
///
/// Reads   policy and reference log_prob of both completions; beta and target_margin per pair where given
/// Units   nats
/// Errors  beta <= 0 is refused
/// Source  Touvron et al. 2023 (the margin of Llama 2's reward model), arXiv:2307.09288, on implicit rewards
/// TRL     none
struct dpo_with_margin {
  static constexpr std::size_t arity = 2;
  static constexpr char const* name = "dpo_with_margin";

  positive beta = 0.1;
  double gamma = 0.0;  // target margin, nats

  constexpr auto operator()(auto const& pair) const {
    return softplus(pair.target_margin_or(gamma) - pair.beta_or(beta) * pair.log_ratio_margin());
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) {
    visit("beta", self.beta);
    visit("gamma", self.gamma);
  }
};

}  // namespace prefer::inline v0_1
