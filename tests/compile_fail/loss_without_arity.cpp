// expect: prefer: a loss has `static constexpr std::size_t arity` (1, 2 or prefer::dynamic_arity)
// SPDX-License-Identifier: MIT
#include <prefer/prefer.hpp>

struct mine {
  constexpr auto operator()(auto const& pair) const { return softplus(-pair.log_ratio_margin()); }
};
double loss(prefer::pair_columns const& batch) { return prefer::evaluate(mine{}, batch).loss; }
