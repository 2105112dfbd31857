// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

#include "../program/estimate.hpp"

namespace sweep {

/// A number of one seed and, where people judge, that of each part of them; the same people judge every seed.
struct judged {
  // A number that nobody judges is itself.
  judged(double number, std::vector<double> by_part = {})  // NOLINT(google-explicit-constructor)
      : value(number), parts(std::move(by_part)) {}

  double value;
  std::vector<double> parts;
};

/// A mean over seeds. Its error is that over seeds and, where people judge, that over parts of them, which are means over seeds;
/// added in squares.
[[nodiscard]] inline program::estimate estimate_of(std::vector<judged> const& seeds) {
  std::vector<double> values;
  for (auto const& each : seeds) values.push_back(each.value);
  program::estimate out = program::estimate_of(values);
  if (seeds.empty() || seeds.front().parts.empty()) return out;
  std::vector<double> parts(seeds.front().parts.size(), 0.0);
  for (auto const& each : seeds) {
    for (std::size_t p = 0; p < parts.size(); ++p) {
      parts[p] += each.parts[p] / static_cast<double>(seeds.size());
    }
  }
  out.error = std::hypot(out.error, program::estimate_of(parts).error);
  return out;
}

[[nodiscard]] inline program::estimate paired_difference(std::vector<judged> a,
                                                         std::vector<judged> const& b) {
  for (std::size_t s = 0; s < a.size(); ++s) {
    a[s].value -= b[s].value;
    for (std::size_t p = 0; p < a[s].parts.size(); ++p) a[s].parts[p] -= b[s].parts[p];
  }
  return estimate_of(a);
}

}  // namespace sweep
