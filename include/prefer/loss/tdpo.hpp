// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <prefer/loss/loss.hpp>

namespace prefer::inline v0_1 {

/// Token-level DPO, first form: the margin of log-ratios less the margin of sequential KL divergences.
///
///   loss = softplus(-beta * (log_ratio_margin - (divergence_rejected - divergence_chosen)))
///   divergence = sum over tokens of KL(reference || policy) at that position
///
/// Reads   policy and reference log_prob and the divergence of both completions; beta per pair where given. The gradient
///         flows through the divergences too
/// Units   nats
/// Errors  beta <= 0 is refused
/// Source  Zeng et al. 2024, arXiv:2404.11999, and the authors' code
/// TRL     none
struct tdpo1 {
  static constexpr std::size_t arity = 2;
  static constexpr char const* name = "tdpo1";

  positive beta = 0.1;

  constexpr auto operator()(auto const& pair) const {
    return softplus(-(pair.beta_or(beta) * (pair.log_ratio_margin() -
                                            (pair.rejected.divergence - pair.chosen.divergence))));
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) { visit("beta", self.beta); }
};

/// Token-level DPO, second form: the divergence of chosen completions carries no gradient.
///
///   loss = softplus(-beta * (log_ratio_margin - alpha * (divergence_rejected - constant(divergence_chosen))))
///
/// Reads   policy and reference log_prob and the divergence of both completions; beta per pair where given
/// Units   nats
/// Errors  beta <= 0 or alpha < 0 is refused
/// Source  Zeng et al. 2024, arXiv:2404.11999, and the authors' code, whose configuration file, unlike its functions, has
///         the first form as its default
/// TRL     none
struct tdpo2 {
  static constexpr std::size_t arity = 2;
  static constexpr char const* name = "tdpo2";

  positive beta = 0.1;
  non_negative alpha = 0.5;

  constexpr auto operator()(auto const& pair) const {
    auto const gap = pair.rejected.divergence - value_of(pair.chosen.divergence);
    return softplus(-(pair.beta_or(beta) * (pair.log_ratio_margin() - alpha * gap)));
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) {
    visit("beta", self.beta);
    visit("alpha", self.alpha);
  }
};

}  // namespace prefer::inline v0_1
