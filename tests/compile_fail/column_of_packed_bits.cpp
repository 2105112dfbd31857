// expect: prefer: a column is float, double or of 16 bits, in memory (labels: bool, lengths: int)
// SPDX-License-Identifier: MIT
#include <vector>

#include <prefer/prefer.hpp>

std::vector<bool> const label;
prefer::unpaired_columns batch(std::vector<float> const& log_prob) {
  return {.policy = log_prob, .label = label};
}
