// SPDX-License-Identifier: MIT
#pragma once

#include <charconv>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <string>

#include <prefer/dialect.hpp>

namespace prefer::inline v0_1::text {

namespace detail {

/// "nan", "inf" or "-inf"; the sign of a NaN carries no meaning and is dropped.
template <std::floating_point T>
std::string non_finite(T value) {
  if (std::isnan(value)) return "nan";
  return value > 0 ? "inf" : "-inf";
}

}  // namespace detail

/// Shortest decimal text that reads back as exactly the same value; nan, inf and -inf by these names. Does not depend
/// on the locale.
template <std::floating_point T>
[[nodiscard]] std::string shortest(T value) {
  if (!std::isfinite(value)) return detail::non_finite(value);
  char buffer[64];
  auto const result = std::to_chars(buffer, buffer + sizeof buffer, value);
  return std::string(buffer, result.ptr);
}

/// Text with `precision` digits behind the point, rounded; nan, inf and -inf by these names.
///
/// A value that rounds to zero has no minus sign. From 1e15 on, where fixed digits are noise, the text is in scientific
/// form. Does not depend on the locale. `precision` is at least 0.
[[nodiscard]] inline std::string fixed(double value, int precision) {
  if (!std::isfinite(value)) return detail::non_finite(value);
  auto const form =
      std::fabs(value) < 1e15 ? std::chars_format::fixed : std::chars_format::scientific;
  std::string text(static_cast<std::size_t>(precision) + 32, '\0');
  auto const result = std::to_chars(text.data(), text.data() + text.size(), value, form, precision);
  text.resize(static_cast<std::size_t>(result.ptr - text.data()));
  if (text.front() == '-' && text.find_first_not_of("-0.") == std::string::npos) text.erase(0, 1);
  return text;
}

}  // namespace prefer::inline v0_1::text
