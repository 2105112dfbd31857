// expect: prefer: a loss that matches rows of its batch cannot read divergence
// SPDX-License-Identifier: MIT
// Divergences have a gradient of their own, which would have to be routed like the others.
#include <prefer/prefer.hpp>

double loss(prefer::pair_columns const& batch) {
  return prefer::evaluate(prefer::aot{} + prefer::tdpo1{}, batch).loss;
}
