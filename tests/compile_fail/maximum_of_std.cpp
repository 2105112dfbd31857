// expect: prefer: a formula does not branch on a value: write select(condition, a, b)
// SPDX-License-Identifier: MIT
#include <algorithm>

#include <prefer/prefer.hpp>

double loss(prefer::pair_columns const& batch) {
  return prefer::evaluate(prefer::pair_loss([](auto const& pair) {
                            return std::max(pair.chosen.log_prob, pair.rejected.log_prob);
                          }),
                          batch)
      .loss;
}
