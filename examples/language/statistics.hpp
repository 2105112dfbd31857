// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string>

#include <prefer/text/number.hpp>

#include "../program/estimate.hpp"
#include "../program/json.hpp"

namespace language {

/// A mean over independent rows, with its standard error: NaN of fewer than two.
struct mean_of_rows {
  std::size_t count = 0;
  double mean = std::numeric_limits<double>::quiet_NaN();
  double standard_error = std::numeric_limits<double>::quiet_NaN();
};

[[nodiscard]] inline mean_of_rows mean_of(std::span<double const> values) {
  program::moments const of = program::moments_of(values);
  mean_of_rows out{.count = of.count, .mean = of.mean};
  if (of.count > 1) out.standard_error = of.standard_error();
  return out;
}

/// "0.834 ± 0.021"
[[nodiscard]] inline std::string in_words(mean_of_rows const& of, int digits = 3) {
  std::string const mean = prefer::text::fixed(of.mean, digits);
  if (!std::isfinite(of.standard_error)) return mean;
  return mean + " ± " + prefer::text::fixed(of.standard_error, digits);
}
[[nodiscard]] inline program::json json_of(mean_of_rows const& of) {
  return {{"count", of.count},
          {"mean", program::number(of.mean)},
          {"standard_error", program::number(of.standard_error)}};
}

}  // namespace language
