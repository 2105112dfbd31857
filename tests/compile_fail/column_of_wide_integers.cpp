// expect: prefer: a column is float, double or of 16 bits, in memory (labels: bool, lengths: int)
// SPDX-License-Identifier: MIT
#include <cstdint>
#include <vector>

#include <prefer/prefer.hpp>

std::vector<std::int64_t> const log_prob;
prefer::pair_columns const batch{.policy = {.chosen = log_prob, .rejected = log_prob}};
