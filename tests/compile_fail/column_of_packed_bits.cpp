// expect: prefer: a column is contiguous float or double (labels: bool, lengths: int)
// SPDX-License-Identifier: MIT
#include <vector>

#include <prefer/prefer.hpp>

std::vector<bool> const label;
prefer::unpaired_columns batch(std::vector<float> const& log_prob) {
  return {.policy = log_prob, .label = label};
}
