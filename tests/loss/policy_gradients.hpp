// SPDX-License-Identifier: MIT
#pragma once

#include <prefer/batch/columns.hpp>
#include <prefer/loss/loss.hpp>
#include <prefer/scalar/dual.hpp>

namespace prefer::test {

/// A token, or a completion, that an earlier state of the policy wrote.
struct written_point {
  double log_prob = -1.0;
  double behaviour = -1.0;
  double reference = -1.0;
  double score = 1.0;
  double value = 0.0;
  double behaviour_value = 0.0;
  double value_target = 0.0;
};

/// The value of an unpaired loss there, in any scalar: `log_prob` and `value` are what carries derivatives.
template <class S, class L>
[[nodiscard]] S at_written(L const& loss, written_point const& at, S log_prob, S value) {
  unpaired_record<S> record{};
  record.log_prob = log_prob;
  record.value_estimate = value;
  record.reference_log_prob = at.reference;
  record.score = at.score;
  record.behaviour_log_prob = at.behaviour;
  record.behaviour_value = at.behaviour_value;
  record.value_target = at.value_target;
  return detail::apply(loss, record, loss_state<L>{});
}

struct slopes_of_one {
  double value;
  double by_log_prob;
  double by_value;
};
template <class L>
[[nodiscard]] slopes_of_one slopes_at(L const& loss, written_point const& at) {
  using S = dual<double, 2>;
  S const y = at_written(loss, at, S::variable(at.log_prob, 0), S::variable(at.value, 1));
  return {y.value, y.partial[0], y.partial[1]};
}

}  // namespace prefer::test
