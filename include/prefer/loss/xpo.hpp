// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <prefer/loss/loss.hpp>

namespace prefer::inline v0_1 {

/// The log-probability of the completion that the reference wrote: lowered, it makes a policy leave what the reference
/// would say (exploration by optimism).
///
///   loss = log_prob of chosen where chosen_from_reference, else of rejected
///
/// Reads   policy log_prob of both completions, chosen_from_reference
/// Units   nats
/// Source  a term of Xie et al. 2024, arXiv:2405.21046
/// TRL     a term of XPOTrainer
struct optimism {
  static constexpr std::size_t arity = 2;
  static constexpr char const* name = "optimism";

  constexpr auto operator()(auto const& pair) const {
    return select(pair.chosen_from_reference, pair.chosen.log_prob, pair.rejected.log_prob);
  }
};

/// Exploratory Preference Optimization: online DPO on one sample of the policy and one of the reference, with optimism.
///
///   loss = softplus(-beta * log_ratio_margin) + alpha * (log_prob of the reference's sample)
///
/// Reads   policy and reference log_prob of both completions, chosen_from_reference; beta per pair where given
/// Units   nats
/// Errors  beta <= 0 or alpha < 0 is refused; a chosen log_prob of minus infinity that the reference wrote makes NaN
/// Source  Xie et al. 2024, arXiv:2405.21046
/// TRL     XPOTrainer `sigmoid`; its `ipo` is ipo_sum{} + alpha * optimism{}
struct xpo {
  static constexpr std::size_t arity = 2;
  static constexpr char const* name = "xpo";

  positive beta = 0.1;
  non_negative alpha = 1e-5;

  constexpr auto operator()(auto const& pair) const {
    return softplus(-(pair.beta_or(beta) * pair.log_ratio_margin())) +
           weighted(alpha, optimism{}(pair));
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) {
    visit("beta", self.beta);
    visit("alpha", self.alpha);
  }
};

}  // namespace prefer::inline v0_1
