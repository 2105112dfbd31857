// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <prefer/loss/loss.hpp>

namespace prefer::inline v0_1 {

/// Direct Preference Optimization: negative log-likelihood of the preference under the Bradley-Terry model.
///
///   loss = -log sigmoid(z),  z = beta * (log_ratio_chosen - log_ratio_rejected)
///   with label_smoothing e:  -(1 - e) log sigmoid(z) - e log sigmoid(-z)
///
/// Reads   policy and reference log_prob of both completions; beta per pair where given
/// Units   nats in, nats out
/// Errors  beta <= 0 or label_smoothing outside [0, 1/2) is refused; NaN passes through
/// Source  Rafailov et al. 2023, eq. 7, arXiv:2305.18290. Label smoothing ("conservative DPO"):
///         Mitchell 2023, "A note on DPO with noisy preferences".
/// TRL     DPOTrainer `sigmoid`. Its 1.16.0 ignores label_smoothing for this loss; here it is applied.
struct dpo {
  static constexpr std::size_t arity = 2;
  static constexpr char const* name = "dpo";
  static constexpr bool takes_score_map = true;

  positive beta = 0.1;
  flip_probability label_smoothing = 0.0;

  constexpr auto operator()(auto const& pair) const {
    auto const z = pair.beta_or(beta) * pair.log_ratio_margin();
    return smoothed_logistic(z, label_smoothing);
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) {
    visit("beta", self.beta);
    visit("label_smoothing", self.label_smoothing);
  }
};

}  // namespace prefer::inline v0_1
