// expect: prefer: results are written to float, double or 16 bits in memory, not const
// SPDX-License-Identifier: MIT
#include <vector>

#include <prefer/prefer.hpp>

std::vector<double> const value;
prefer::pair_results const results{.value = value};
