// expect: prefer: results in a temporary are lost: give it a name first
// SPDX-License-Identifier: MIT
#include <vector>

#include <prefer/prefer.hpp>

prefer::pair_results const results{.value = std::vector<double>(2)};
