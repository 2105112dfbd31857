// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>

#include <prefer/scalar/scalar.hpp>

namespace prefer::test {

/// A number at two places: where its derivative is wanted, and moved a little away. What a formula takes without
/// gradient (value_of) stays at the first place, so differences of `moved` leave it out, as derivatives do.
///
/// With both places moved together value_of moves too.
struct frozen_difference {
  long double base = 0.0L;
  long double moved = 0.0L;

  constexpr frozen_difference() = default;
  template <std::convertible_to<long double> C>
  constexpr frozen_difference(C const& c) : base(c), moved(c) {}  // NOLINT: constants do not move
  constexpr frozen_difference(long double b, long double m) : base(b), moved(m) {}

  using self = frozen_difference;
  friend self operator-(self a) { return {-a.base, -a.moved}; }
  friend self operator+(self a, self b) { return {a.base + b.base, a.moved + b.moved}; }
  friend self operator-(self a, self b) { return {a.base - b.base, a.moved - b.moved}; }
  friend self operator*(self a, self b) { return {a.base * b.base, a.moved * b.moved}; }
  friend self operator/(self a, self b) { return {a.base / b.base, a.moved / b.moved}; }
  friend bool operator>(self a, self b) { return a.moved > b.moved; }
  friend bool operator<(self a, self b) { return a.moved < b.moved; }
  friend self softplus(self a) { return {prefer::softplus(a.base), prefer::softplus(a.moved)}; }
  friend self sigmoid(self a) { return {prefer::sigmoid(a.base), prefer::sigmoid(a.moved)}; }
  friend self log_sigmoid(self a) { return -softplus(-a); }
  friend self exp(self a) { return {prefer::exp(a.base), prefer::exp(a.moved)}; }
  friend self expm1(self a) { return {prefer::expm1(a.base), prefer::expm1(a.moved)}; }
  friend self log(self a) { return {prefer::log(a.base), prefer::log(a.moved)}; }
  friend self log1mexp(self a) { return {prefer::log1mexp(a.base), prefer::log1mexp(a.moved)}; }
  friend self square(self a) { return a * a; }
  friend self relu(self a) { return {prefer::relu(a.base), prefer::relu(a.moved)}; }
  friend self clamp(self a, double low, double high) {
    return {prefer::clamp(a.base, low, high), prefer::clamp(a.moved, low, high)};
  }
  friend self select(bool condition, self a, self b) { return condition ? a : b; }
  friend long double value_of(self a) { return a.base; }
};

}  // namespace prefer::test

template <>
struct prefer::scalar_traits<prefer::test::frozen_difference> {
  using primal = long double;
  using precision = double;
};
