// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <limits>

namespace prefer::test {

/// Distance from `computed` to the exact result, in units in the last place that T has there. Equal
/// infinities and two NaN are at distance 0; one infinity or NaN alone is infinitely far away.
template <class T>
[[nodiscard]] inline double ulps(T computed, long double exact) {
  T const rounded = static_cast<T>(exact);
  if (std::isnan(computed) || std::isnan(rounded)) {
    return std::isnan(computed) == std::isnan(rounded) ? 0.0
                                                       : std::numeric_limits<double>::infinity();
  }
  if (computed == rounded) {
    if (std::isinf(rounded)) return 0.0;
  } else if (std::isinf(computed) || std::isinf(rounded)) {
    return std::numeric_limits<double>::infinity();
  }
  T const magnitude = std::fmax(std::fabs(rounded), std::numeric_limits<T>::min());
  int const exponent = std::ilogb(magnitude);
  long double const unit = std::ldexp(1.0L, exponent - std::numeric_limits<T>::digits + 1);
  return static_cast<double>(std::fabs(static_cast<long double>(computed) - exact) / unit);
}

/// |a - b| <= relative * max(|a|, |b|, floor), equal infinities and two NaN included.
[[nodiscard]] inline bool near(double a, double b, double relative, double floor = 0.0) {
  if (a == b || (std::isnan(a) && std::isnan(b))) return true;
  double const scale = std::fmax(std::fmax(std::fabs(a), std::fabs(b)), floor);
  return std::fabs(a - b) <= relative * scale;
}

/// The same bits; +0 and -0 differ, one NaN equals another of the same payload.
template <class T>
[[nodiscard]] inline bool same_bits(T a, T b) {
  return __builtin_memcmp(&a, &b, sizeof a) == 0;
}

}  // namespace prefer::test
