// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <prefer/loss/loss.hpp>

namespace prefer::inline v0_1 {

/// Simple Preference Optimization: length-averaged log-probability as reward, with a target margin, no reference.
///
///   loss = -log sigmoid(beta * (mean_log_prob_chosen - mean_log_prob_rejected) - gamma)
///   with label_smoothing e:  (1 - e) * loss - e log sigmoid(-(...))
///
/// Reads   policy log_prob and length of both completions; beta and target_margin per pair where given
/// Units   nats per token in, nats out; gamma is the paper's gamma (absolute, not gamma / beta)
/// Errors  beta <= 0 or label_smoothing outside [0, 1/2) is refused; a length of zero makes a non-finite loss
///         (see diagnose)
/// Source  Meng et al. 2024, eq. 6, arXiv:2405.14734
/// TRL     CPOTrainer `simpo` with cpo_alpha = 0. Its default cpo_alpha = 1 adds an NLL term: here that is cpo_simpo, or
///         to the digit simpo{} + nll_per_batch_token{}
struct simpo {
  static constexpr std::size_t arity = 2;
  static constexpr char const* name = "simpo";

  positive beta = 2.5;
  double gamma = 1.4;  // target margin, nats
  flip_probability label_smoothing = 0.0;

  constexpr auto operator()(auto const& pair) const {
    auto const z =
        pair.beta_or(beta) * (pair.chosen.mean_log_prob() - pair.rejected.mean_log_prob()) -
        pair.target_margin_or(gamma);
    return smoothed_logistic(z, label_smoothing);
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) {
    visit("beta", self.beta);
    visit("gamma", self.gamma);
    visit("label_smoothing", self.label_smoothing);
  }
};

}  // namespace prefer::inline v0_1
