// expect: prefer: a part of this loss matches rows of its batch, which only sums and multiples, and formulas
// SPDX-License-Identifier: MIT
// The margins of the batch's own pairs are not those that aot compares.
#include <prefer/prefer.hpp>

double loss(prefer::pair_columns const& batch) {
  prefer::loss_memory<prefer::beta_dpo<prefer::aot>> memory;
  return prefer::evaluate(prefer::beta_dpo<prefer::aot>{}, batch, memory).loss;
}
