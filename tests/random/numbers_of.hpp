// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <prefer/random/philox.hpp>

inline prefer::random_stream stream(std::uint64_t seed, std::uint64_t step = 0,
                                    std::uint64_t index = 0) {
  return prefer::random_stream(
      {.seed = seed, .purpose = prefer::random_purpose::user, .step = step, .index = index});
}

// Quantile of chi-square by Wilson and Hilferty 1931; 148.3 for 99 degrees at z = 3.09, where tables have 148.2.
inline double chi_square_quantile(double degrees, double z) {
  double const a = 2 / (9 * degrees);
  return degrees * std::pow(1 - a + z * std::sqrt(a), 3);
}

// True if the counts are as uneven as chance makes them: neither too uneven nor too even, each at 1 in 10000.
inline bool plausible(std::vector<double> const& counts, std::vector<double> const& expected) {
  double statistic = 0;
  for (std::size_t i = 0; i != counts.size(); ++i) {
    statistic += (counts[i] - expected[i]) * (counts[i] - expected[i]) / expected[i];
  }
  double const degrees = static_cast<double>(counts.size()) - 1;
  // With one or two degrees a perfect fit is no surprise, and the approximation is poor there.
  double const least = degrees < 3 ? 0 : chi_square_quantile(degrees, -3.72);
  return statistic >= least && statistic <= chi_square_quantile(degrees, 3.72);
}

inline bool plausible(std::vector<double> const& counts, double expected) {
  return plausible(counts, std::vector<double>(counts.size(), expected));
}
