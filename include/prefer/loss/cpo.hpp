// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <prefer/loss/loss.hpp>

namespace prefer::inline v0_1 {

/// Contrastive Preference Optimization: DPO without a reference, and a likelihood term that takes its place.
///
///   loss = softplus(-z) - alpha * log_prob_chosen / length_chosen,  z = beta * log_prob_margin
///   with label_smoothing e:  (1 - e) softplus(-z) + e softplus(z) in place of softplus(-z)
///
/// Reads   policy log_prob of both completions, length of chosen; beta per pair where given
/// Units   nats
/// Errors  beta <= 0, alpha < 0 or label_smoothing outside [0, 1/2) is refused; a length of zero makes a
///         non-finite loss (see diagnose)
/// Source  Xu et al. 2024, arXiv:2401.08417
/// TRL     CPOTrainer `sigmoid`, whose likelihood term divides by the tokens of the batch: cpo{.alpha = 0} +
///         alpha * nll_per_batch_token{}
struct cpo {
  static constexpr std::size_t arity = 2;
  static constexpr char const* name = "cpo";
  static constexpr bool rewards_per_token = false;

  positive beta = 0.1;
  non_negative alpha = 1.0;
  flip_probability label_smoothing = 0.0;

  constexpr auto operator()(auto const& pair) const {
    auto const z = pair.beta_or(beta) * pair.log_prob_margin();
    return smoothed_logistic(z, label_smoothing) - weighted(alpha, pair.chosen.mean_log_prob());
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) {
    visit("beta", self.beta);
    visit("alpha", self.alpha);
    visit("label_smoothing", self.label_smoothing);
  }
};

/// CPO-SimPO: simpo with a likelihood term.
///
///   loss = softplus(gamma - beta * (mean_log_prob_chosen - mean_log_prob_rejected)) - alpha * mean_log_prob_chosen
///
/// Reads   policy log_prob and length of both completions; beta and target_margin per pair where given
/// Units   nats per token in, nats out; gamma is absolute
/// Errors  beta <= 0 or alpha < 0 is refused; a length of zero makes a non-finite loss (see diagnose)
/// Source  Meng et al. 2024, arXiv:2405.14734, and Xu et al. 2024, arXiv:2401.08417, as combined by the CPO authors
/// TRL     CPOTrainer `simpo` with cpo_alpha > 0, which is its default; the likelihood term as for cpo
struct cpo_simpo {
  static constexpr std::size_t arity = 2;
  static constexpr char const* name = "cpo_simpo";

  positive beta = 2.5;
  double gamma = 1.4;  // target margin, nats
  non_negative alpha = 1.0;

  constexpr auto operator()(auto const& pair) const {
    auto const chosen = pair.chosen.mean_log_prob();
    auto const margin = chosen - pair.rejected.mean_log_prob();
    return softplus(pair.target_margin_or(gamma) - pair.beta_or(beta) * margin) -
           weighted(alpha, chosen);
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) {
    visit("beta", self.beta);
    visit("gamma", self.gamma);
    visit("alpha", self.alpha);
  }
};

}  // namespace prefer::inline v0_1
