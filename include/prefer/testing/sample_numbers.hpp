// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <prefer/batch/columns.hpp>

namespace prefer::inline v0_1::testing {

/// Numbers between `low` and `low + width` that float keeps, the same in every run.
[[nodiscard]] inline std::vector<double> between(double low, double width, std::size_t n,
                                                 std::uint32_t seed) {
  std::vector<double> out(n);
  std::uint32_t state = seed * 2654435761u + 1u;
  for (double& x : out) {
    state = state * 1664525u + 1013904223u;
    x = static_cast<double>(
        static_cast<float>(low + width * static_cast<double>(state >> 8) * 0x1p-24));
  }
  return out;
}

/// Numbers that a column with this rule can hold.
[[nodiscard]] inline std::vector<double> numbers_of(column_rule rule, std::size_t n,
                                                    std::uint32_t seed) {
  switch (rule) {
    case column_rule::log_prob:
      return between(-9.0, 6.0, n, seed);
    case column_rule::tokens:
      return between(5.0, 20.0, n, seed);
    case column_rule::divergence:
      return between(0.0, 2.0, n, seed);
    case column_rule::truth: {
      std::vector<double> out = between(-1.0, 2.0, n, seed);
      for (double& x : out) x = x > 0.0 ? 1.0 : 0.0;
      return out;
    }
    default:
      return between(0.05, 0.9, n, seed);
  }
}

}  // namespace prefer::inline v0_1::testing
