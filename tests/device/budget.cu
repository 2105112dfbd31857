// SPDX-License-Identifier: MIT
#include <prefer/adapters/cuda.hpp>
#include <prefer/loss/dpo.hpp>

// What a .cu pays that evaluates one loss.

double loss(prefer::cuda::pair_columns const& batch) {
  return prefer::cuda::evaluate(prefer::dpo{}, batch).loss.read();
}
