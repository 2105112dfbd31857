// expect: prefer: a loss is trivially copyable: hyper-parameters by value, no pointers to own
// SPDX-License-Identifier: MIT
#include <string>

#include <prefer/prefer.hpp>

struct mine {
  static constexpr std::size_t arity = 2;
  std::string label;
  constexpr auto operator()(auto const& pair) const { return softplus(-pair.log_ratio_margin()); }
};
double loss(prefer::pair_columns const& batch) { return prefer::evaluate(mine{}, batch).loss; }
