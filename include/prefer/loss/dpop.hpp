// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <prefer/loss/loss.hpp>

namespace prefer::inline v0_1 {

/// DPO-Positive (Smaug): DPO with a penalty on chosen completions that fall below the reference.
///
///   loss = softplus(-beta * (log_ratio_margin - penalty * max(0, -log_ratio_chosen)))
///
/// Reads   policy and reference log_prob of both completions; beta per pair where given
/// Units   nats. The kink is at log_ratio_chosen = 0, where training starts; its derivative there is 0
/// Errors  beta <= 0 or a negative penalty is refused
/// Source  Pal et al. 2024, eq. 3, arXiv:2402.13228 (lambda: penalty). An author confirms that the first manuscript, with
///         the penalty outside beta, was in error. Defaults: the paper's (secondary source)
/// TRL     none
struct dpop {
  static constexpr std::size_t arity = 2;
  static constexpr char const* name = "dpop";

  positive beta = 0.3;
  non_negative penalty = 50.0;

  constexpr auto operator()(auto const& pair) const {
    auto const fall = relu(-pair.chosen.log_ratio());
    return softplus(-(pair.beta_or(beta) * (pair.log_ratio_margin() - weighted(penalty, fall))));
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) {
    visit("beta", self.beta);
    visit("penalty", self.penalty);
  }
};

}  // namespace prefer::inline v0_1
