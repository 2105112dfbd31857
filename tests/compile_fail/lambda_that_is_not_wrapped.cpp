// expect: one by prefer::pair_loss(lambda), unpaired_loss(lambda) or list_loss(lambda)
// SPDX-License-Identifier: MIT
#include <prefer/prefer.hpp>

double loss(prefer::pair_columns const& batch) {
  return prefer::evaluate([](auto const& pair) { return softplus(-pair.log_ratio_margin()); },
                          batch)
      .loss;
}
