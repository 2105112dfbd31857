// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <prefer/loss/loss.hpp>

namespace prefer::inline v0_1 {

/// Length-normalised DPO: dpo on log-ratios per token.
///
///   loss = softplus(-beta * (mean_log_ratio_chosen - mean_log_ratio_rejected))
///
/// Reads   policy and reference log_prob and the length of both completions; beta per pair where given
/// Units   nats per token in, nats out: beta is some completion length times dpo's
/// Errors  beta <= 0 is refused; a length of zero makes a non-finite loss (see diagnose)
/// Source  Lambert et al. 2024 (Tulu 3), arXiv:2411.15124. The default beta is theirs (secondary source)
/// TRL     DPOTrainer `sigmoid_norm`, whose default beta of 0.1 makes it nearly linear
struct ln_dpo {
  static constexpr std::size_t arity = 2;
  static constexpr char const* name = "ln_dpo";
  static constexpr bool takes_score_map = true;

  positive beta = 5.0;

  constexpr auto operator()(auto const& pair) const {
    return softplus(
        -(pair.beta_or(beta) * (pair.chosen.mean_log_ratio() - pair.rejected.mean_log_ratio())));
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) { visit("beta", self.beta); }
};

}  // namespace prefer::inline v0_1
