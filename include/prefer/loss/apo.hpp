// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <prefer/loss/loss.hpp>

namespace prefer::inline v0_1 {

/// Anchored Preference Optimization, zero: raises chosen completions above the reference and lowers rejected ones.
///
///   loss = sigmoid(-u_chosen) + sigmoid(u_rejected),  u = beta * log_ratio
///
/// Reads   policy and reference log_prob of both completions; beta per pair where given
/// Units   a sum of two probabilities, 0 to 2; coefficients are at most beta / 4
/// Errors  beta <= 0 is refused
/// Source  D'Oosterlinck et al. 2024, eq. 7, arXiv:2408.06266. For data whose chosen completions are better than the
///         policy's own
/// TRL     DPOTrainer `apo_zero`, up to its rounding: 1 - sigmoid(u) there. It ignores f_divergence_type
struct apo_zero {
  static constexpr std::size_t arity = 2;
  static constexpr char const* name = "apo_zero";

  positive beta = 0.1;

  constexpr auto operator()(auto const& pair) const {
    auto const b = pair.beta_or(beta);
    return sigmoid(-(b * pair.chosen.log_ratio())) + sigmoid(b * pair.rejected.log_ratio());
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) { visit("beta", self.beta); }
};

/// Anchored Preference Optimization, down: lowers both completions, rejected ones more.
///
///   loss = sigmoid(u_chosen) + sigmoid(-z),  u = beta * log_ratio,  z = beta * log_ratio_margin
///
/// Reads   policy and reference log_prob of both completions; beta per pair where given
/// Units   a sum of two probabilities, 0 to 2. At the reference the coefficient of chosen is 0
/// Errors  beta <= 0 is refused
/// Source  D'Oosterlinck et al. 2024, eq. 8, arXiv:2408.06266. For data whose chosen completions are worse than the
///         policy's own
/// TRL     DPOTrainer `apo_down`, up to its rounding. Its f_divergence_type enters the second term only; here neither
///         form takes a divergence
struct apo_down {
  static constexpr std::size_t arity = 2;
  static constexpr char const* name = "apo_down";

  positive beta = 0.1;

  constexpr auto operator()(auto const& pair) const {
    auto const b = pair.beta_or(beta);
    return sigmoid(b * pair.chosen.log_ratio()) + sigmoid(-(b * pair.log_ratio_margin()));
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) { visit("beta", self.beta); }
};

/// Anchored Preference Optimization, zero, on labelled completions: kto with a baseline of 0.
///
///   loss = desirable_weight * sigmoid(-u),  where desirable
///   loss = undesirable_weight * sigmoid(u),  where undesirable,  u = beta * log_ratio
///
/// Reads   policy and reference log_prob, label; beta per example where given
/// Units   a weight times a probability
/// Errors  beta <= 0 or a negative weight is refused
/// Source  D'Oosterlinck et al. 2024, arXiv:2408.06266
/// TRL     KTOTrainer `apo_zero_unpaired`; the mean is not renormalised by the weights, there and here
struct apo_zero_unpaired {
  static constexpr std::size_t arity = 1;
  static constexpr char const* name = "apo_zero_unpaired";

  positive beta = 0.1;
  non_negative desirable_weight = 1.0;
  non_negative undesirable_weight = 1.0;

  constexpr auto operator()(auto const& example) const {
    auto const u = example.beta_or(beta) * example.log_ratio();
    return select(example.desirable, weighted(desirable_weight, sigmoid(-u)),
                  weighted(undesirable_weight, sigmoid(u)));
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) {
    visit("beta", self.beta);
    visit("desirable_weight", self.desirable_weight);
    visit("undesirable_weight", self.undesirable_weight);
  }
};

}  // namespace prefer::inline v0_1
