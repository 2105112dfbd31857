// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <prefer/loss/loss.hpp>

namespace prefer::inline v0_1 {

/// DPO with a likelihood term on the chosen completion, which keeps it from falling ("RPO", iterative reasoning
/// preference optimization).
///
///   loss = softplus(-beta * log_ratio_margin) - alpha * log_prob_chosen / length_chosen
///
/// Reads   policy and reference log_prob of both completions, length of chosen; beta per pair where given
/// Units   nats
/// Errors  beta <= 0 or alpha < 0 is refused; a length of zero makes a non-finite loss (see diagnose)
/// Source  Pang et al. 2024, arXiv:2404.19733. Liu et al. 2024, arXiv:2405.16436, has the same with a small
///         weight of the summed term: dpo{} + 0.005 * nll{}
/// TRL     loss_type ["sigmoid", "sft"] with loss_weights, which divides by the tokens of the batch:
///         dpo{} + alpha * nll_per_batch_token{}. NVIDIA's reward-aware RPO is another method
struct rpo {
  static constexpr std::size_t arity = 2;
  static constexpr char const* name = "rpo";

  positive beta = 0.1;
  non_negative alpha = 1.0;

  constexpr auto operator()(auto const& pair) const {
    return softplus(-(pair.beta_or(beta) * pair.log_ratio_margin())) -
           weighted(alpha, pair.chosen.mean_log_prob());
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) {
    visit("beta", self.beta);
    visit("alpha", self.alpha);
  }
};

}  // namespace prefer::inline v0_1
