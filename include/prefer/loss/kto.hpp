// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <type_traits>

#include <prefer/loss/loss.hpp>

namespace prefer::inline v0_1 {

namespace detail {

struct log_ratio_of_example {
  constexpr auto operator()(auto const& example) const { return example.log_ratio(); }
};
struct log_ratios_of_pair {
  constexpr auto operator()(auto const& pair) const {
    auto const chosen = pair.chosen.log_ratio();
    return std::array<std::remove_const_t<decltype(chosen)>, 2>{chosen, pair.rejected.log_ratio()};
  }
};

}  // namespace detail

/// Kahneman-Tversky Optimization: each labelled completion is pushed away from a baseline, with saturation.
///
///   loss = desirable_weight * (1 - sigmoid(beta * (log_ratio - baseline))),  where desirable
///   loss = undesirable_weight * (1 - sigmoid(beta * (baseline - log_ratio))),  where undesirable
///   baseline = max(0, mean log_ratio of KL examples)
///
/// The baseline is an estimate of KL(policy || reference), and carries no gradient.
///
/// Reads   policy and reference log_prob, label; the batch's KL examples; beta per example where given
/// Units   nats in; the loss is a weight times a probability
/// Several processes: sums and counts are added up, so the baseline is that of the whole batch
/// Errors  beta <= 0 or a negative weight is refused; a batch without KL examples is refused
/// Source  Ethayarajh et al. 2024, arXiv:2402.01306
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

  [[nodiscard]] constexpr state prepare(auto const& batch, nothing&) const {
    double const estimate =
        batch.kl_examples().with_infinities().means(detail::log_ratio_of_example{});
    return {estimate < 0.0 ? 0.0 : estimate};
  }
  constexpr auto operator()(auto const& example, state const& batch) const {
    auto const gain = example.beta_or(beta) * (example.log_ratio() - batch.baseline);
    return select(example.desirable, weighted(desirable_weight, sigmoid(-gain)),
                  weighted(undesirable_weight, sigmoid(gain)));
  }
  static constexpr void metrics(state const& batch, auto&& visit) { visit("kl", batch.baseline); }
  static constexpr void hyper_parameters(auto& self, auto&& visit) {
    visit("beta", self.beta);
    visit("desirable_weight", self.desirable_weight);
    visit("undesirable_weight", self.undesirable_weight);
  }
};

/// Kahneman-Tversky Optimization on pairs: each half takes its baseline from the other half of the batch.
///
///   loss = (sigmoid(-beta * (log_ratio_chosen - baseline_rejected)) +
///           sigmoid(beta * (log_ratio_rejected - baseline_chosen))) / 2
///   baseline_chosen = max(0, mean log_ratio of the batch's chosen completions)
///
/// The baseline of the rejected completions likewise; neither carries a gradient.
///
/// Reads   policy and reference log_prob of both completions; beta per pair where given
/// Units   a probability
/// Several processes: sums and counts are added up, so the baselines are those of the whole batch
/// Errors  beta <= 0 is refused
/// Source  Ethayarajh et al. 2024, arXiv:2402.01306, in the form that TRL once had
/// TRL     DPOTrainer `kto_pair`, until June 2024. It let the gradient flow through the baselines, which were those of
///         one device
struct kto_pair {
  static constexpr std::size_t arity = 2;
  static constexpr char const* name = "kto_pair";
  struct state {
    double chosen_baseline = 0.0;    // nats
    double rejected_baseline = 0.0;  // nats
  };

  positive beta = 0.1;

  [[nodiscard]] constexpr state prepare(auto const& batch, nothing&) const {
    auto const [chosen, rejected] = batch.with_infinities().means(detail::log_ratios_of_pair{});
    return {relu(chosen), relu(rejected)};
  }
  constexpr auto operator()(auto const& pair, state const& batch) const {
    auto const b = pair.beta_or(beta);
    return 0.5 * (sigmoid(-(b * (pair.chosen.log_ratio() - batch.rejected_baseline))) +
                  sigmoid(b * (pair.rejected.log_ratio() - batch.chosen_baseline)));
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) { visit("beta", self.beta); }
};

}  // namespace prefer::inline v0_1
