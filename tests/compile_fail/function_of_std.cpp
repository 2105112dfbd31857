// expect: prefer: a formula's scalar is no double: write exp, log, ... without std::
// SPDX-License-Identifier: MIT
#include <cmath>

#include <prefer/prefer.hpp>

double loss(prefer::pair_columns const& batch) {
  return prefer::evaluate(
             prefer::pair_loss([](auto const& pair) { return std::exp(-pair.log_ratio_margin()); }),
             batch)
      .loss;
}
