// expect: prefer: a column is contiguous float or double (labels: bool, lengths: int)
// SPDX-License-Identifier: MIT
#include <cstdint>
#include <vector>

#include <prefer/prefer.hpp>

std::vector<std::int64_t> const log_prob;
prefer::pair_columns const batch{.policy = {.chosen = log_prob, .rejected = log_prob}};
