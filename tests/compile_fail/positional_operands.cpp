// expect: no matching function for call to
// SPDX-License-Identifier: MIT
// Four vectors by position could be swapped unseen; there is no such call.
#include <vector>

#include <prefer/prefer.hpp>

double loss(std::vector<double> const& a, std::vector<double> const& b) {
  return prefer::evaluate(prefer::dpo{}, a, b, a, b).loss;
}
