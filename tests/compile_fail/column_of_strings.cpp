// expect: prefer: a column is float, double or of 16 bits, in memory (labels: bool, lengths: int)
// SPDX-License-Identifier: MIT
#include <string>
#include <vector>

#include <prefer/prefer.hpp>

std::vector<std::string> const log_prob;
prefer::column const chosen = log_prob;
