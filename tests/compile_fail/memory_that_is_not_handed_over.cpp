// expect: prefer: this loss remembers from batch to batch: make a prefer::loss_memory<L> memory once and hand
// SPDX-License-Identifier: MIT
#include <prefer/prefer.hpp>

double loss(prefer::unpaired_columns const& batch) {
  return prefer::evaluate(prefer::bco{}, batch).loss;
}
