// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <prefer/text/number.hpp>

namespace prefer::inline v0_1::report {

namespace detail {

/// 10^exponent times `mantissa`. Dividing by an exact power rounds once, so that 3 tenths is 0.3
/// and not 0.30000000000000004.
[[nodiscard]] inline double scaled(double mantissa, int exponent) {
  return exponent < 0 ? mantissa / std::pow(10.0, -exponent) : mantissa * std::pow(10.0, exponent);
}

inline constexpr std::string_view minus_sign = "\u2212";

[[nodiscard]] inline std::string superscript(int exponent) {
  static constexpr std::string_view digits[] = {"\u2070", "\u00B9", "\u00B2", "\u00B3", "\u2074",
                                                "\u2075", "\u2076", "\u2077", "\u2078", "\u2079"};
  std::string text;
  for (char const c : std::to_string(exponent)) {
    text += c == '-' ? std::string_view("\u207B") : digits[c - '0'];
  }
  return text;
}

/// The shortest digits that read back as `value`, never in scientific form.
[[nodiscard]] inline std::string without_exponent(double value) {
  char buffer[400];
  auto const result =
      std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed);
  return std::string(buffer, result.ptr);
}

/// The shortest digits that read back as `value` in the form d.ddd and a power of ten.
struct scientific {
  std::string mantissa;
  int exponent;
};
[[nodiscard]] inline scientific scientific_form(double value) {
  char buffer[64];
  auto const result =
      std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific);
  std::string const text(buffer, result.ptr);
  std::size_t const e = text.find('e');
  return {.mantissa = text.substr(0, e), .exponent = std::stoi(text.substr(e + 1))};
}

[[nodiscard]] inline std::size_t significant_digits(double size) {
  std::size_t const length = scientific_form(size).mantissa.size();
  return length > 1 ? length - 1 : 1;  // without the point
}

/// 5×10⁻⁷, 10⁶; 1 and 10 stay what they are.
[[nodiscard]] inline std::string power_of_ten_label(double value) {
  if (value == 0 || value == 1 || value == 10) return without_exponent(value);
  auto const [mantissa, exponent] = scientific_form(value);
  std::string const power = "10" + superscript(exponent);
  if (mantissa == "1") return power;
  if (mantissa == "-1") return '-' + power;
  return mantissa + "\u00D7" + power;
}

}  // namespace detail

/// Tick values inside [low, high] whose step is 1, 2 or 5 times a power of ten: the smallest such
/// step that gives no more than `at_most` intervals over the range. Needs low < high, both finite,
/// and more than a few roundings apart.
[[nodiscard]] inline std::vector<double> linear_ticks(double low, double high, int at_most) {
  double const least = (high - low) / at_most;
  int exponent = static_cast<int>(std::floor(std::log10(least)));
  double mantissa = 10;
  for (double const candidate : {1.0, 2.0, 5.0}) {
    if (detail::scaled(candidate, exponent) >= least * (1 - 1e-9)) {
      mantissa = candidate;
      break;
    }
  }
  if (mantissa == 10) {
    mantissa = 1;
    ++exponent;
  }
  double const step = detail::scaled(mantissa, exponent);
  std::vector<double> ticks;
  double const first = std::ceil(low / step - 1e-9);
  int const count = static_cast<int>(std::floor(high / step + 1e-9) - first) + 1;
  for (int i = 0; i < count; ++i) {
    ticks.push_back(detail::scaled((first + i) * mantissa, exponent) + 0.0);  // -0 becomes 0
  }
  return ticks;
}

/// Tick values inside [low, high] for a logarithmic axis: decades if there are three or more, every
/// second or third decade if there are more than `at_most`; otherwise 1, 2 and 5 of each decade;
/// where even these are fewer than three, the ticks of a linear axis. Needs 0 < low < high.
[[nodiscard]] inline std::vector<double> log_ticks(double low, double high, int at_most) {
  int const first = static_cast<int>(std::ceil(std::log10(low) - 1e-9));
  int const last = static_cast<int>(std::floor(std::log10(high) + 1e-9));
  std::vector<double> ticks;
  if (last - first >= 2) {
    int const stride = (last - first) / at_most + 1;
    for (int e = first; e <= last; ++e) {
      if (e % stride == 0) ticks.push_back(detail::scaled(1, e));
    }
    return ticks;
  }
  for (int e = first - 1; e <= last; ++e) {
    for (double const mantissa : {1.0, 2.0, 5.0}) {
      double const value = detail::scaled(mantissa, e);
      if (value >= low * (1 - 1e-9) && value <= high * (1 + 1e-9)) ticks.push_back(value);
    }
  }
  return ticks.size() >= 3 ? ticks : linear_ticks(low, high, at_most);
}

/// The values 2 to 9 times a power of ten inside [low, high]. Needs 0 < low < high.
[[nodiscard]] inline std::vector<double> log_minor_ticks(double low, double high) {
  std::vector<double> ticks;
  int const last = static_cast<int>(std::floor(std::log10(high)));
  for (int e = static_cast<int>(std::floor(std::log10(low))); e <= last; ++e) {
    for (int mantissa = 2; mantissa <= 9; ++mantissa) {
      double const value = detail::scaled(mantissa, e);
      if (value >= low && value <= high) ticks.push_back(value);
    }
  }
  return ticks;
}

/// Whether all labels of one axis show the same number of digits behind the point.
enum class decimals { as_needed, same };

/// Labels as a person writes them: 0.01, 0.1, 5. All labels of an axis are powers of ten (10⁻⁶,
/// 2×10⁶) if one of them lies below 1e-5 (zero apart), all of them below 0.001, or if they reach a
/// million and none has more than three digits. A minus is the typographic one, U+2212.
[[nodiscard]] inline std::vector<std::string> tick_labels(std::vector<double> const& values,
                                                          decimals form) {
  double largest = 0;
  double smallest = 1;
  std::size_t digits = 0;
  bool few_digits = true;
  for (double const value : values) {
    double const size = std::fabs(value);
    largest = std::max(largest, size);
    if (value != 0) smallest = std::min(smallest, size);
    few_digits = few_digits && detail::significant_digits(size) <= 3;
  }
  bool const tiny = smallest < 1e-5 || (largest != 0 && largest < 1e-3);
  bool const powers = tiny || (largest >= 1e6 && few_digits) || largest >= 1e15;
  std::vector<std::string> labels;
  for (double const value : values) {
    std::string const plain = detail::without_exponent(value);
    std::size_t const point = plain.find('.');
    if (point != std::string::npos) digits = std::max(digits, plain.size() - point - 1);
    labels.push_back(powers ? detail::power_of_ten_label(value) : plain);
  }
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (!powers && form == decimals::same)
      labels[i] = prefer::text::fixed(values[i], static_cast<int>(digits));
    if (labels[i].front() == '-') labels[i].replace(0, 1, detail::minus_sign);
  }
  return labels;
}

}  // namespace prefer::inline v0_1::report
