// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <vector>

// Means over what is independent, seeds or rows or people, with their standard errors.

namespace program {

/// How many values there are, their mean and how far they lie from it.
///
///   variance = sum (value - mean)^2 / (count - 1)
///
/// The mean of none is NaN. Of fewer than two the variance is 0, because they do not differ: whoever wants to know how
/// far others would lie has to ask for the count.
struct moments {
  std::size_t count = 0;
  double mean = std::numeric_limits<double>::quiet_NaN();
  double variance = 0.0;

  [[nodiscard]] double standard_deviation() const { return std::sqrt(variance); }
  [[nodiscard]] double standard_error() const {
    return std::sqrt(variance / static_cast<double>(count));
  }
};

[[nodiscard]] inline moments moments_of(std::span<double const> values) {
  moments out{.count = values.size()};
  if (values.empty()) return out;
  double sum = 0.0;
  for (double const each : values) sum += each;
  out.mean = sum / static_cast<double>(out.count);
  if (out.count == 1) return out;
  double squares = 0.0;
  for (double const each : values) squares += (each - out.mean) * (each - out.mean);
  out.variance = squares / static_cast<double>(out.count - 1);
  return out;
}

/// A mean and its standard error; the error is 0 of one value.
struct estimate {
  double mean = 0.0;
  double error = 0.0;
};

[[nodiscard]] inline estimate estimate_of(std::span<double const> values) {
  moments const of = moments_of(values);
  return {.mean = of.mean, .error = of.count > 1 ? of.standard_error() : 0.0};
}

/// Mean of a - b over what both have, in the same order.
[[nodiscard]] inline estimate paired_difference(std::vector<double> a, std::span<double const> b) {
  for (std::size_t i = 0; i < a.size(); ++i) a[i] -= b[i];
  return estimate_of(a);
}

}  // namespace program
