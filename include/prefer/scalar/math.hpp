// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <concepts>

#include <prefer/target.hpp>

namespace prefer::inline v0_1 {

// The primitives for float and double. Losses are evaluated on lanes and duals; these serve scalar
// code such as closed-form optima, reports and tests.

template <std::floating_point T>
[[nodiscard]] constexpr T exp(T x) {
  return std::exp(x);
}
template <std::floating_point T>
[[nodiscard]] constexpr T expm1(T x) {
  return std::expm1(x);
}
template <std::floating_point T>
[[nodiscard]] constexpr T log(T x) {
  return std::log(x);
}
template <std::floating_point T>
[[nodiscard]] constexpr T sqrt(T x) {
  return std::sqrt(x);
}

/// log(1 + exp(x)), without overflow: max(x, 0) + log1p(exp(-|x|)).
template <std::floating_point T>
[[nodiscard]] constexpr T softplus(T x) {
  return (x > T(0) ? x : T(0)) + std::log1p(std::exp(-std::abs(x)));
}

/// 1 / (1 + exp(-x)); keeps full relative precision in the left tail, where 1 - sigmoid(-x) would lose it.
template <std::floating_point T>
[[nodiscard]] constexpr T sigmoid(T x) {
  T const e = std::exp(-std::abs(x));
  return (x < T(0) ? e : T(1)) / (T(1) + e);
}

/// log(sigmoid(x)) = -softplus(-x).
template <std::floating_point T>
[[nodiscard]] constexpr T log_sigmoid(T x) {
  return -softplus(-x);
}

/// log(1 - exp(x)) for x <= 0, switching at -ln 2 between the two forms that are exact on their side.
///
/// Source  Maechler 2012, "Accurately computing log(1 - exp(-|a|))"
template <std::floating_point T>
[[nodiscard]] constexpr T log1mexp(T x) {
  return x > T(-0.69314718055994530942) ? std::log(-std::expm1(x)) : std::log1p(-std::exp(x));
}

template <std::floating_point T>
[[nodiscard]] constexpr T square(T x) {
  return x * x;
}
/// max(x, 0); the derivative at the kink is 0, NaN passes through.
template <std::floating_point T>
[[nodiscard]] constexpr T relu(T x) {
  return x < T(0) ? T(0) : x;
}
template <std::floating_point T>
[[nodiscard]] constexpr T clamp(T x, double low, double high) {
  return x < T(low) ? T(low) : x > T(high) ? T(high) : x;
}
template <std::floating_point T>
[[nodiscard]] constexpr T select(bool condition, T a, T b) {
  return condition ? a : b;
}
[[nodiscard]] constexpr double select(bool condition, double a, double b) {
  return condition ? a : b;
}
/// The value without derivatives.
template <std::floating_point T>
[[nodiscard]] constexpr T value_of(T x) {
  return x;
}

}  // namespace prefer::inline v0_1
