// expect: evaluate_into takes what prepare(loss, batch, memory) gives
// SPDX-License-Identifier: MIT
#include <prefer/prefer.hpp>

double loss(prefer::pair_columns const& batch, prefer::pair_results const& results) {
  return prefer::evaluate_into(1.0 * prefer::beta_dpo<>{}, batch, results);
}
