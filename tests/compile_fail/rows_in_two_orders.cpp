// expect: prefer: a part of this loss matches rows of its batch, which only sums and multiples, and formulas
// SPDX-License-Identifier: MIT
#include <prefer/prefer.hpp>

double loss(prefer::pair_columns const& batch) {
  return prefer::evaluate(prefer::wpo<prefer::sum_of_losses<prefer::aot, prefer::nll>>{}, batch)
      .loss;
}
