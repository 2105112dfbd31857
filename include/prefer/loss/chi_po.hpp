// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <prefer/loss/loss.hpp>
#include <prefer/scalar/scalar.hpp>

namespace prefer::inline v0_1 {

/// Chi-squared Preference Optimization: DPO whose score grows like the density ratio itself, against overoptimization.
///
///   loss = softplus(-clamp(beta * (phi(log_ratio_chosen) - phi(log_ratio_rejected)), -2 reward_bound, 2 reward_bound)),
///   phi(u) = exp(u) + u
///
/// Reads   policy and reference log_prob of both completions; beta per pair where given
/// Units   nats; reward_bound bounds the rewards, beta included, and coefficients are 0 beyond. exp(u) stops at
///         exp(690) (float: exp(80))
/// Errors  beta <= 0 or reward_bound <= 0 is refused
/// Source  Huang et al. 2024, arXiv:2407.13399 (secondary source: reproductions of the formula). The default bound is ours
/// TRL     none
struct chi_po {
  static constexpr std::size_t arity = 2;
  static constexpr char const* name = "chi_po";

  positive beta = 0.1;
  positive reward_bound = 10.0;

  constexpr auto operator()(auto const& pair) const {
    auto const phi = [](auto const& u) { return bounded_exp(u) + u; };
    auto const z =
        pair.beta_or(beta) * (phi(pair.chosen.log_ratio()) - phi(pair.rejected.log_ratio()));
    return softplus(-clamp(z, -2.0 * reward_bound, 2.0 * reward_bound));
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) {
    visit("beta", self.beta);
    visit("reward_bound", self.reward_bound);
  }
};

}  // namespace prefer::inline v0_1
