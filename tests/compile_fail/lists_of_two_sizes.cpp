// expect: prefer: the parts of this loss take lists of different sizes
// SPDX-License-Identifier: MIT
#include <prefer/prefer.hpp>

struct first_of_two {
  static constexpr std::size_t arity = prefer::dynamic_arity;
  static constexpr std::size_t list_size = 2;
  constexpr auto operator()(auto const& list) const { return list[1].log_prob - list[0].log_prob; }
};

double loss(prefer::list_columns const& batch) {
  return prefer::evaluate(prefer::sum_of_losses<prefer::tpo, first_of_two>{}, batch).loss;
}
