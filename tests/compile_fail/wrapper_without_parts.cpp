// expect: prefer: a loss made of losses names them
// SPDX-License-Identifier: MIT
#include <prefer/prefer.hpp>

template <prefer::PairLoss L>
struct halved {
  static constexpr std::size_t arity = 2;
  L loss;
  constexpr auto operator()(auto const& pair) const { return 0.5 * loss(pair); }
};

double loss(prefer::pair_columns const& batch) {
  return prefer::evaluate(halved<prefer::aot>{}, batch).loss;
}
