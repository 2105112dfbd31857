// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <prefer/bounded.hpp>
#include <prefer/loss/ppo.hpp>
#include <prefer/scalar/kl_estimators.hpp>

namespace prefer::inline v0_1 {

/// Group Relative Policy Optimization: the clipped surrogate, and the estimate k3 of KL(policy || reference) as a term of
/// the loss. The score of a token is the advantage of its completion within its group.
///
///   loss = -min(ratio * score, clamp(ratio, 1 - clip_low, 1 + clip_high) * score) + beta * (exp(-r) - 1 + r)
///   ratio = exp(log_prob - behaviour log_prob),  r = log_prob - reference log_prob
///
/// k3 is unbiased as a number, but its gradient here is that of KL(reference || policy): beta * (1 - exp(-r)). Without a
/// reference this is clipped_surrogate.
///
/// Reads   policy, behaviour and reference log_prob of each token, its score; beta per token where given
/// Units   that of the score
/// Errors  beta <= 0, clip_low outside [0, 1] or clip_high < 0 is refused
/// Source  Shao et al. 2024, arXiv:2402.03300, eqs. 3 and 4
/// TRL     GRPOTrainer, whose beta is 0 unless given; how its `loss_type` divides is token_weights
struct grpo {
  static constexpr std::size_t arity = 1;
  static constexpr char const* name = "grpo";
  static constexpr auto example = example_of::token;
  static constexpr batch_meaning batch_means = {.score = score_kind::reward};

  positive beta = 0.04;
  fraction clip_low = 0.2;
  non_negative clip_high = 0.2;

  constexpr auto operator()(auto const& token) const {
    return detail::clipped_gain(token.behaviour_log_ratio(), token.score, clip_low, clip_high) +
           token.beta_or(beta) * kl_k3(token.log_ratio());
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) {
    visit("beta", self.beta);
    visit("clip_low", self.clip_low);
    visit("clip_high", self.clip_high);
  }
};

}  // namespace prefer::inline v0_1
