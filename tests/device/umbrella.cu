// SPDX-License-Identifier: MIT
#include <prefer/prefer.hpp>

double loss(prefer::pair_columns const& batch) {
  return prefer::evaluate(prefer::dpo{.beta = 0.1}, batch).loss;
}
