// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <prefer/loss/loss.hpp>

namespace prefer::inline v0_1 {

/// Sequence Likelihood Calibration with human feedback: a hinge on the margin of log-probabilities, and a likelihood term.
///
///   loss = max(0, margin - log_prob_margin) - lambda * log_prob_chosen / length_chosen
///
/// Reads   policy log_prob of both completions, length of chosen; target_margin per pair where given
/// Units   nats
/// Errors  lambda < 0 is refused; a length of zero makes a non-finite loss (see diagnose)
/// Source  Zhao et al. 2023, arXiv:2305.10425, with the chosen completion as its target and the constants of a
///         public implementation (HALOs). hinge is the form with a reference
/// TRL     none
struct slic_hf {
  static constexpr std::size_t arity = 2;
  static constexpr char const* name = "slic_hf";
  static constexpr bool rewards_per_token = false;

  double margin = 1.0;  // nats
  non_negative lambda = 0.1;

  constexpr auto operator()(auto const& pair) const {
    return relu(pair.target_margin_or(margin) - pair.log_prob_margin()) -
           weighted(lambda, pair.chosen.mean_log_prob());
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) {
    visit("margin", self.margin);
    visit("lambda", self.lambda);
  }
};

}  // namespace prefer::inline v0_1
