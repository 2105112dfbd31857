// expect: prefer: this reference moves while the policy trains, so a cache made ahead of time would go stale
// SPDX-License-Identifier: MIT
#include <prefer/model/tabular.hpp>
#include <prefer/prefer.hpp>

prefer::cached<double> ahead_of_time(prefer::tabular<double> const& start,
                                     prefer::choice_data const& data) {
  prefer::moving_average reference(start, prefer::tr_dpo{.alpha = 1.0, .every = 100});
  return prefer::cached<double>::of(reference, data, 7);
}
