// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>

#include <prefer/scalar/dual.hpp>

namespace prefer::test {

/// A number in long double for formulas that cut their exponentials where those of Precision have to be cut.
template <class Precision>
struct extended {
  using value_type = Precision;
  long double number = 0.0L;

  constexpr extended() = default;
  template <std::convertible_to<long double> C>
  constexpr extended(C const& c) : number(c) {}  // NOLINT(google-explicit-constructor)

  using self = extended;
  friend self operator-(self a) { return -a.number; }
  friend self operator+(self a, self b) { return a.number + b.number; }
  friend self operator-(self a, self b) { return a.number - b.number; }
  friend self operator*(self a, self b) { return a.number * b.number; }
  friend self operator/(self a, self b) { return a.number / b.number; }
  friend bool operator>(self a, self b) { return a.number > b.number; }
  friend bool operator<(self a, self b) { return a.number < b.number; }
  friend self softplus(self a) { return prefer::softplus(a.number); }
  friend self sigmoid(self a) { return prefer::sigmoid(a.number); }
  friend value_and_derivative<self> softplus_with_derivative(self a) {
    return {prefer::softplus(a.number), prefer::sigmoid(a.number)};
  }
  friend value_and_derivative<self> sigmoid_with_derivative(self a) {
    return {prefer::sigmoid(a.number), prefer::sigmoid(a.number) * prefer::sigmoid(-a.number)};
  }
  friend self log_sigmoid(self a) { return prefer::log_sigmoid(a.number); }
  friend self exp(self a) { return prefer::exp(a.number); }
  friend self expm1(self a) { return prefer::expm1(a.number); }
  friend self log(self a) { return prefer::log(a.number); }
  friend self log1mexp(self a) { return prefer::log1mexp(a.number); }
  friend self square(self a) { return a.number * a.number; }
  friend self relu(self a) { return prefer::relu(a.number); }
  friend self clamp(self a, double low, double high) { return prefer::clamp(a.number, low, high); }
  friend self select(bool condition, self a, self b) { return condition ? a : b; }
  friend self value_of(self a) { return a; }
};

}  // namespace prefer::test
