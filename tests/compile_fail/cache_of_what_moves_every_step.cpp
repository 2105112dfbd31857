// expect: prefer: this reference moves after every step, so no number of it is ever asked for twice
// SPDX-License-Identifier: MIT
#include <prefer/model/tabular.hpp>
#include <prefer/prefer.hpp>

double on_demand(prefer::tabular<double> const& start, prefer::choice_data const& data) {
  prefer::cached_on_demand reference(prefer::moving_average(start, prefer::ema{.rate = 0.1}), data);
  return static_cast<double>(reference.computed());
}
