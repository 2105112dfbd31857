// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <prefer/loss/loss.hpp>

namespace prefer::inline v0_1 {

/// Mixed Preference Optimization: preference, quality and generation at once.
///
///   loss = preference * softplus(-z) + quality * (softplus(-u_chosen) + softplus(u_rejected))
///          - generation * log_prob_chosen / length_chosen,
///   u = beta * log_ratio,  z = u_chosen - u_rejected
///
/// Reads   policy and reference log_prob of both completions, length of chosen; beta per pair where given
/// Units   nats
/// Errors  beta <= 0 or a negative weight is refused; a length of zero makes a non-finite loss (see diagnose)
/// Source  Wang et al. 2024, arXiv:2411.10442. The same as preference * dpo + quality * bco_pair +
///         generation * nll_per_token
/// TRL     loss_type ["sigmoid", "bco_pair", "sft"], whose last term divides by the tokens of the batch
struct mpo {
  static constexpr std::size_t arity = 2;
  static constexpr char const* name = "mpo";

  positive beta = 0.1;
  non_negative preference = 0.8;
  non_negative quality = 0.2;
  non_negative generation = 1.0;

  constexpr auto operator()(auto const& pair) const {
    auto const b = pair.beta_or(beta);
    return weighted(preference, softplus(-(b * pair.log_ratio_margin()))) +
           weighted(quality, softplus(-(b * pair.chosen.log_ratio())) +
                                 softplus(b * pair.rejected.log_ratio())) -
           weighted(generation, pair.chosen.mean_log_prob());
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) {
    visit("beta", self.beta);
    visit("preference", self.preference);
    visit("quality", self.quality);
    visit("generation", self.generation);
  }
};

}  // namespace prefer::inline v0_1
