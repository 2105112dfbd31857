// SPDX-License-Identifier: MIT
#pragma once

#include <prefer/batch/record.hpp>
#include <prefer/loss/loss.hpp>
#include <prefer/scalar/dual.hpp>

namespace prefer::test {

/// A pair given by its log-ratio margin: chosen's log_prob is that far above its reference, rejected's at it.
[[nodiscard]] inline pair_record<double> pair_with_margin(double margin) {
  return {
      .chosen = {.log_prob = -20.0 + margin, .reference_log_prob = -20.0, .completion_length = 4.0},
      .rejected = {.log_prob = -30.0, .reference_log_prob = -30.0, .completion_length = 5.0}};
}

struct value_and_slopes {
  double value, chosen, rejected;
};

/// A pair loss's value and derivatives by both log-probabilities.
template <class L>
[[nodiscard]] value_and_slopes at(L const& loss, pair_record<double> const& p) {
  using S = dual<double, 2>;
  pair_record<S> record;
  record.chosen = {S::variable(p.chosen.log_prob, 0), p.chosen.reference_log_prob,
                   p.chosen.completion_length};
  record.rejected = {S::variable(p.rejected.log_prob, 1), p.rejected.reference_log_prob,
                     p.rejected.completion_length};
  record.pair_beta = {p.pair_beta.present, p.pair_beta.value};
  record.pair_target_margin = {p.pair_target_margin.present, p.pair_target_margin.value};
  S const y = loss(record);
  return {y.value, y.partial[0], y.partial[1]};
}

}  // namespace prefer::test
