// expect: prefer: a loss over lists is evaluated on list_columns
// SPDX-License-Identifier: MIT
#include <prefer/prefer.hpp>

double loss(prefer::pair_columns const& batch) {
  return prefer::evaluate(prefer::lipo{}, batch).loss;
}
