// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

namespace sweep {

/// A mean over seeds and its standard error; the error is 0 for one seed.
struct estimate {
  double mean = 0.0;
  double error = 0.0;
};

[[nodiscard]] inline estimate estimate_of(std::vector<double> const& values) {
  double const n = static_cast<double>(values.size());
  estimate out;
  for (double const v : values) out.mean += v;
  out.mean /= n;
  double squares = 0.0;
  for (double const v : values) squares += (v - out.mean) * (v - out.mean);
  if (values.size() > 1) out.error = std::sqrt(squares / (n - 1.0) / n);
  return out;
}

/// Mean of a - b over seeds that both have, in the same order.
[[nodiscard]] inline estimate paired_difference(std::vector<double> a,
                                                std::vector<double> const& b) {
  for (std::size_t i = 0; i < a.size(); ++i) a[i] -= b[i];
  return estimate_of(a);
}

}  // namespace sweep
