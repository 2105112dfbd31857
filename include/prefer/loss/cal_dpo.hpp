// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <prefer/loss/loss.hpp>

namespace prefer::inline v0_1 {

/// Calibrated DPO: log-ratios are compared, and regressed to +-1 / (2 beta) besides.
///
///   loss = softplus(-log_ratio_margin) + ((log_ratio_chosen - 1 / (2 beta))^2 + (log_ratio_rejected + 1 / (2 beta))^2) / 2
///
/// Reads   policy and reference log_prob of both completions; beta per pair where given
/// Units   nats and squared nats, as in the paper. beta enters through the targets alone
/// Errors  beta <= 0 is refused
/// Source  Xiao et al. 2024, arXiv:2412.14516, and the authors' code, whose squares are halved and whose scripts have
///         beta 0.001; the paper's algorithm does not halve them (secondary source)
/// TRL     none
struct cal_dpo {
  static constexpr std::size_t arity = 2;
  static constexpr char const* name = "cal_dpo";

  positive beta = 0.1;

  constexpr auto operator()(auto const& pair) const {
    auto const target = 0.5 / pair.beta_or(beta);
    return softplus(-pair.log_ratio_margin()) + 0.5 * (square(pair.chosen.log_ratio() - target) +
                                                       square(pair.rejected.log_ratio() + target));
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) { visit("beta", self.beta); }
};

}  // namespace prefer::inline v0_1
