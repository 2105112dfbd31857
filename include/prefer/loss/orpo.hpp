// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <prefer/loss/loss.hpp>

namespace prefer::inline v0_1 {

/// The odds-ratio term of ORPO: the odds of the chosen completion, per token, against those of the rejected one.
///
///   loss = beta * softplus(-(log_odds_chosen - log_odds_rejected)),
///   log_odds = a - log(1 - exp(a)),  a = mean_log_prob
///
/// Reads   policy log_prob and length of both completions; beta per pair where given
/// Units   nats; beta is the paper's lambda, a weight
/// Errors  beta <= 0 is refused; a length of zero, or a completion of probability 1, makes a non-finite loss
/// Source  Hong et al. 2024, arXiv:2403.07691
/// TRL     ORPOTrainer.odds_ratio_loss, whose log1p(-exp(a)) loses its digits for completions that are almost certain
struct odds_ratio {
  static constexpr std::size_t arity = 2;
  static constexpr char const* name = "odds_ratio";

  positive beta = 0.1;

  constexpr auto operator()(auto const& pair) const {
    auto const log_odds = [](auto const& y) {
      auto const a = y.mean_log_prob();
      return a - log1mexp(a);
    };
    return pair.beta_or(beta) * softplus(log_odds(pair.rejected) - log_odds(pair.chosen));
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) { visit("beta", self.beta); }
};

/// Odds Ratio Preference Optimization: supervised fine-tuning and preference in one stage, without a reference.
///
///   loss = -log_prob_chosen / length_chosen + odds_ratio
///
/// Reads   policy log_prob and length of both completions; beta per pair where given
/// Units   nats
/// Errors  as for odds_ratio
/// Source  Hong et al. 2024, arXiv:2403.07691
/// TRL     ORPOTrainer, whose likelihood term counts the prompt's tokens too, and divides by the tokens of the batch
struct orpo {
  static constexpr std::size_t arity = 2;
  static constexpr char const* name = "orpo";

  positive beta = 0.1;

  constexpr auto operator()(auto const& pair) const {
    return odds_ratio{.beta = beta}(pair)-pair.chosen.mean_log_prob();
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) { visit("beta", self.beta); }
};

}  // namespace prefer::inline v0_1
