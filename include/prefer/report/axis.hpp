// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include <prefer/report/ticks.hpp>

namespace prefer::inline v0_1::report {

enum class scale { linear, log };

/// One axis. What is left empty is chosen from the data, with a little air on both sides.
struct axis {
  std::string label = {};
  report::scale scale = report::scale::linear;
  std::vector<double> ticks = {};  // exactly these, as a sweep's betas; the range includes them
  std::optional<double> min = {};  // where the axis starts, without air
  std::optional<double> max = {};  // where it ends; points outside are not drawn
};

/// Whether a value can have a place on an axis: finite, and not so large that the arithmetic of ranges would overflow.
[[nodiscard]] inline bool drawable(double value) { return std::fabs(value) <= 1e300; }

inline constexpr double smallest_log = 1e-299;  // a logarithmic axis starts here at the latest

/// Maps values of one axis to drawing units: `low` to `from`, `high` to `to`.
struct axis_mapping {
  report::scale scale = report::scale::linear;
  double low = 0;
  double high = 1;
  double from = 0;
  double to = 1;

  [[nodiscard]] double share(double value) const {
    if (scale == scale::linear) return (value - low) / (high - low);
    return (std::log(value) - std::log(low)) / (std::log(high) - std::log(low));
  }
  /// A value far off the plot lands a thousand plots away: viewers give up on larger coordinates.
  [[nodiscard]] double operator()(double value) const {
    return from + std::clamp(share(value), -1000.0, 1000.0) * (to - from);
  }
  [[nodiscard]] bool holds(double value) const {
    return share(value) >= -1e-9 && share(value) <= 1 + 1e-9;
  }
};

/// The smallest and the largest value seen so far.
struct value_range {
  double low = HUGE_VAL;
  double high = -HUGE_VAL;

  void include(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  [[nodiscard]] bool empty() const { return low > high; }
};

/// Whether two ends of an axis are far enough apart for ticks and positions between them.
[[nodiscard]] inline bool apart(report::scale form, double low, double high) {
  if (form == scale::log) return high > std::max(low, smallest_log) * (1 + 1e-9);
  return high - low > std::max(1e-12 * std::max(std::fabs(low), std::fabs(high)), 1e-290);
}

/// Range of an axis over what it must show: its own limits where it has them, elsewhere 4% of air; a range without
/// extent gets some.
[[nodiscard]] inline axis_mapping fitted(axis const& a, value_range seen) {
  bool const log = a.scale == scale::log;
  for (double const tick : a.ticks) seen.include(tick);
  if (seen.empty()) seen = {.low = log ? 1.0 : 0.0, .high = log ? 10.0 : 1.0};
  double low = a.min.value_or(seen.low);
  double high = a.max.value_or(seen.high);
  bool const flat = !apart(a.scale, low, high);
  if (log) {
    low = std::max(low, smallest_log);
    high = std::max(high, smallest_log);
    double const factor =
        flat ? 2 : std::exp(std::min(0.04 * (std::log(high) - std::log(low)), 6.0));
    if (!a.min) low = (flat ? std::min(low, high) : low) / factor;
    if (!a.max) high = (flat ? std::max(low, high) : high) * factor;
  } else {
    double const size = std::max(std::fabs(low), std::fabs(high));
    double const air = !flat ? 0.04 * (high - low) : size > 1e-280 ? 0.05 * size : 1;
    if (!a.min) low = (flat ? std::min(low, high) : low) - air;
    if (!a.max) high = (flat ? std::max(low, high) : high) + air;
  }
  return {.scale = a.scale, .low = low, .high = high};
}

struct axis_ticks {
  std::vector<double> values = {};
  std::vector<std::string> labels = {};
  std::vector<double> minor = {};
};

[[nodiscard]] inline axis_ticks ticks_of(axis const& a, axis_mapping const& range, int at_most) {
  axis_ticks result;
  bool const log = a.scale == scale::log;
  if (!a.ticks.empty()) {
    for (double const tick : a.ticks) {
      if (range.holds(tick)) result.values.push_back(tick);
    }
  } else if (log) {
    result.values = log_ticks(range.low, range.high, at_most);
  } else {
    result.values = linear_ticks(range.low, range.high, at_most);
  }
  bool const uniform = a.ticks.empty() && !log;
  result.labels = tick_labels(result.values, uniform ? decimals::same : decimals::as_needed);
  if (log && range.high / range.low < 1e10) result.minor = log_minor_ticks(range.low, range.high);
  return result;
}

}  // namespace prefer::inline v0_1::report
