// SPDX-License-Identifier: MIT
#pragma once

#include <prefer/batch/columns.hpp>
#include <prefer/loss/loss.hpp>
#include <prefer/scalar/dual.hpp>

namespace prefer::test {

/// A labelled completion given by its log-ratio.
struct example_point {
  double log_ratio = 0.0;
  bool desirable = true;
  double score = 0.0;
};

struct value_and_slope {
  double value, slope;
};

/// An unpaired loss's value and derivative by the log-probability; the reference gives -10.
template <class L>
[[nodiscard]] value_and_slope at_example(L const& loss, example_point const& point,
                                         loss_state<L> const& state = {}) {
  using S = dual<double, 1>;
  unpaired_record<S> record{{.log_prob = S::variable(point.log_ratio - 10.0, 0),
                             .reference_log_prob = -10.0,
                             .completion_length = 4.0,
                             .score = point.score},
                            point.desirable,
                            {}};
  S const y = detail::apply(loss, record, state);
  return {y.value, y.partial[0]};
}

}  // namespace prefer::test
