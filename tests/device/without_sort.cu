// expect: prefer: this loss sorts its batch: include <prefer/adapters/cuda/sort.cuh>
// SPDX-License-Identifier: MIT
#include <prefer/adapters/cuda.hpp>
#include <prefer/loss/aot.hpp>

double loss(prefer::cuda::pair_columns const& batch) {
  return prefer::cuda::evaluate(prefer::aot{}, batch).loss.read();
}
