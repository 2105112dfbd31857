// SPDX-License-Identifier: MIT
#pragma once

#include <prefer/batch/columns.hpp>
#include <prefer/loss/loss.hpp>
#include <prefer/scalar/dual.hpp>

namespace prefer::test {

/// A pair given by its log-ratio margin: chosen's log_prob is that far above its reference, rejected's at it.
[[nodiscard]] inline pair_record<double> pair_with_margin(double margin) {
  return {
      .chosen = {.log_prob = -20.0 + margin, .reference_log_prob = -20.0, .completion_length = 4.0},
      .rejected = {.log_prob = -30.0, .reference_log_prob = -30.0, .completion_length = 5.0}};
}

/// A pair given by both log-ratios.
[[nodiscard]] inline pair_record<double> pair_with_log_ratios(double chosen, double rejected) {
  auto pair = pair_with_margin(chosen);
  pair.rejected.log_prob += rejected;
  return pair;
}

struct value_and_slopes {
  double value, chosen, rejected;
};

/// A completion on dual numbers: the log-probability is a variable, all else is constant.
template <class S>
[[nodiscard]] completion_record<S> with_variable(completion_record<double> const& c,
                                                 std::size_t index) {
  return {.log_prob = S::variable(c.log_prob, index),
          .reference_log_prob = c.reference_log_prob,
          .completion_length = c.completion_length,
          .score = c.score,
          .divergence = S(c.divergence),
          .alignment = c.alignment,
          .perturbed_toward_log_prob = c.perturbed_toward_log_prob,
          .perturbed_away_log_prob = c.perturbed_away_log_prob};
}

template <class S>
[[nodiscard]] pair_record<S> with_variables(pair_record<double> const& p) {
  return {.chosen = with_variable<S>(p.chosen, 0),
          .rejected = with_variable<S>(p.rejected, 1),
          .pair_beta = {p.pair_beta.present, p.pair_beta.value},
          .pair_target_margin = {p.pair_target_margin.present, p.pair_target_margin.value},
          .chosen_from_reference = p.chosen_from_reference,
          .uniform = p.uniform};
}

/// A pair loss's value and derivatives by both log-probabilities.
template <class L>
[[nodiscard]] value_and_slopes at(L const& loss, pair_record<double> const& p,
                                  loss_state<L> const& state = {}) {
  using S = dual<double, 2>;
  S const y = detail::apply(loss, with_variables<S>(p), state);
  return {y.value, y.partial[0], y.partial[1]};
}

}  // namespace prefer::test
