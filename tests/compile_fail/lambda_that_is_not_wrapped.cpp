// expect: prefer: a loss has `static constexpr std::size_t arity` (1, 2 or prefer::dynamic_arity)
// SPDX-License-Identifier: MIT
#include <prefer/prefer.hpp>

double loss(prefer::pair_columns const& batch) {
  return prefer::evaluate([](auto const& pair) { return softplus(-pair.log_ratio_margin()); },
                          batch)
      .loss;
}
