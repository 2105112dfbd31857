// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <prefer/loss/loss.hpp>

namespace prefer::inline v0_1 {

/// Identity Preference Optimization on length-averaged log-ratios: regression of the margin to 1 / (2 beta).
///
///   loss = (mean_log_ratio_chosen - mean_log_ratio_rejected - 1 / (2 beta))^2
///
/// Reads   policy and reference log_prob and the length of both completions
/// Units   nats per token in, squared out; beta is the paper's tau
/// Errors  beta <= 0 is refused; a length of zero makes a non-finite loss (see diagnose)
/// Source  Azar et al. 2023, eq. 17, arXiv:2310.12036. The paper has sums over tokens (ipo_sum); averages are
///         TRL's form, agreed with the paper's authors, and beta does not compare across the two.
/// TRL     DPOTrainer `ipo`
struct ipo {
  static constexpr std::size_t arity = 2;
  static constexpr char const* name = "ipo";
  static constexpr bool takes_score_map = true;

  positive beta = 0.1;

  constexpr auto operator()(auto const& pair) const {
    return square(pair.chosen.mean_log_ratio() - pair.rejected.mean_log_ratio() -
                  0.5 / pair.beta_or(beta));
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) { visit("beta", self.beta); }
};

/// Identity Preference Optimization as in its paper, on summed log-ratios.
///
///   loss = (log_ratio_chosen - log_ratio_rejected - 1 / (2 beta))^2
///
/// Reads   policy and reference log_prob of both completions
/// Units   nats in, squared nats out; beta is the paper's tau
/// Errors  beta <= 0 is refused
/// Source  Azar et al. 2023, eq. 17, arXiv:2310.12036
/// TRL     none; its `ipo` averages over tokens (here: ipo). CPOTrainer's `ipo` is this on log_prob.
struct ipo_sum {
  static constexpr std::size_t arity = 2;
  static constexpr char const* name = "ipo_sum";
  static constexpr bool takes_score_map = true;

  positive beta = 0.1;

  constexpr auto operator()(auto const& pair) const {
    return square(pair.log_ratio_margin() - 0.5 / pair.beta_or(beta));
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) { visit("beta", self.beta); }
};

}  // namespace prefer::inline v0_1
