// expect: prefer: a column does not keep the numbers of a temporary: give them a name first
// SPDX-License-Identifier: MIT
#include <vector>

#include <prefer/prefer.hpp>

std::vector<double> log_prob();
prefer::pair_columns const batch{.policy = {.chosen = log_prob(), .rejected = log_prob()}};
