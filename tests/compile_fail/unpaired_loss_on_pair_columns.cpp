// expect: prefer: a loss over labelled completions is evaluated on unpaired_columns
// SPDX-License-Identifier: MIT
#include <prefer/prefer.hpp>

double loss(prefer::pair_columns const& batch, prefer::pair_results const& results) {
  return prefer::evaluate_into(prefer::kto{}, batch, results);
}
