// expect: prefer: a formula does not branch on a value: write select(condition, a, b)
// SPDX-License-Identifier: MIT
#include <prefer/prefer.hpp>

struct mine {
  static constexpr std::size_t arity = 2;
  constexpr auto operator()(auto const& pair) const {
    auto const margin = pair.log_ratio_margin();
    if (margin > 0.0) return 0.0 * margin;
    return -margin;
  }
};
double loss(prefer::pair_columns const& batch) { return prefer::evaluate(mine{}, batch).loss; }
