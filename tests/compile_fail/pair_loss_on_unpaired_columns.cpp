// expect: prefer: a loss over pairs is evaluated on pair_columns
// SPDX-License-Identifier: MIT
#include <prefer/prefer.hpp>

double loss(prefer::unpaired_columns const& batch) {
  return prefer::evaluate(prefer::dpo{}, batch).loss;
}
