// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <prefer/loss/loss.hpp>

namespace prefer {

/// Kahneman-Tversky Optimization: each labelled completion is pushed away from a baseline, with saturation.
///
///   desirable    desirable_weight   * (1 - sigmoid(beta * (log_ratio - baseline)))
///   undesirable  undesirable_weight * (1 - sigmoid(beta * (baseline - log_ratio)))
///   baseline     max(0, mean log_ratio of mismatched completions), an estimate of KL(policy || reference);
///                it carries no gradient
///
/// Reads   policy and reference log_prob, label; the batch's mismatched completions; beta per example where given
/// Units   nats in; the loss is a weight times a probability
/// Errors  beta <= 0 or a negative weight does not construct; a batch without mismatched completions is refused
/// Source  Ethayarajh et al. 2024, eq. 8, arXiv:2402.01306
/// TRL     KTOTrainer `kto`; the mean over examples is not renormalised by the weights, there and here
struct kto {
  static constexpr std::size_t arity = 1;
  static constexpr char const* name = "kto";
  struct state {
    double baseline = 0.0;  // nats
  };

  positive beta = 0.1;
  non_negative desirable_weight = 1.0;
  non_negative undesirable_weight = 1.0;

  [[nodiscard]] state prepare(auto const& batch, nothing&) const {
    double const estimate = batch.mismatched_log_ratio().mean();
    return {estimate < 0.0 ? 0.0 : estimate};  // NaN passes through
  }
  constexpr auto operator()(auto const& example, state const& batch) const {
    auto const gain = example.beta_or(beta) * (example.log_ratio() - batch.baseline);
    return select(example.desirable, desirable_weight * sigmoid(-gain),
                  undesirable_weight * sigmoid(gain));
  }
  static constexpr void metrics(state const& batch, auto&& visit) { visit("kl", batch.baseline); }
  static constexpr void parameters(auto& self, auto&& visit) {
    visit("beta", self.beta);
    visit("desirable_weight", self.desirable_weight);
    visit("undesirable_weight", self.undesirable_weight);
  }
};

}  // namespace prefer
