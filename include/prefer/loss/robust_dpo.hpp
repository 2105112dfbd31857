// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <prefer/loss/loss.hpp>

namespace prefer::inline v0_1 {

/// Provably robust DPO: an unbiased estimate of DPO's loss on clean labels from labels flipped with a known
/// probability.
///
///   loss = ((1 - e) * softplus(-z) - e * softplus(z)) / (1 - 2 e),  z = beta * log_ratio_margin
///
/// Reads   policy and reference log_prob of both completions; beta per pair where given
/// Units   nats in, nats out. Unbounded below for e > 0: its slope tends to -e / (1 - 2 e), so stop early
/// Errors  beta <= 0 or label_smoothing outside [0, 1/2) is refused
/// Source  Chowdhury et al. 2024, arXiv:2403.00409
/// TRL     DPOTrainer `robust`, whose label_smoothing is 0 unless set: dpo. The default here is ours
struct robust_dpo {
  static constexpr std::size_t arity = 2;
  static constexpr char const* name = "robust_dpo";
  static constexpr bool takes_score_map = true;

  positive beta = 0.1;
  flip_probability label_smoothing = 0.1;

  constexpr auto operator()(auto const& pair) const {
    auto const z = pair.beta_or(beta) * pair.log_ratio_margin();
    // A smoothed loss whose flipped share is -e / (1 - 2 e).
    return smoothed_logistic(z, -label_smoothing / (1.0 - 2.0 * label_smoothing));
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) {
    visit("beta", self.beta);
    visit("label_smoothing", self.label_smoothing);
  }
};

}  // namespace prefer::inline v0_1
