// expect: prefer: a column is contiguous float or double (labels: bool, lengths: int)
// SPDX-License-Identifier: MIT
#include <string>
#include <vector>

#include <prefer/prefer.hpp>

std::vector<std::string> const log_prob;
prefer::column const chosen = log_prob;
