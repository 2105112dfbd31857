// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>

#include <prefer/dialect.hpp>
#include <prefer/text/number.hpp>

namespace prefer::inline v0_1::text {

/// Digits in groups of three: 1,000,000.
[[nodiscard]] inline std::string grouped(std::size_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t end = digits.size(); end > 3; end -= 3) digits.insert(end - 3, ",");
  return digits;
}

/// "1 row", "12 rows".
[[nodiscard]] inline std::string counted(std::size_t number, std::string const& noun) {
  return grouped(number) + " " + noun + (number == 1 ? "" : "s");
}

/// "12.5 %" of a share of 0.125.
[[nodiscard]] inline std::string percent(double share) { return fixed(100.0 * share, 1) + " %"; }
[[nodiscard]] inline std::string percent(std::size_t part, std::size_t whole) {
  return percent(static_cast<double>(part) / static_cast<double>(whole));
}

}  // namespace prefer::inline v0_1::text
