// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>

#include <prefer/scalar/math.hpp>  // the primitives of float and double must be visible here

namespace prefer {

namespace detail {

template <class S>
concept scalar_arithmetic = requires(S const a, S const b) {
  { a + b } -> std::convertible_to<S>;
  { a - b } -> std::convertible_to<S>;
  { a* b } -> std::convertible_to<S>;
  { a / b } -> std::convertible_to<S>;
  { -a } -> std::convertible_to<S>;
};

template <class S>
concept scalar_arithmetic_with_double = requires(S const a) {
  { a + 0.5 } -> std::convertible_to<S>;
  { 0.5 - a } -> std::convertible_to<S>;
  { a * 0.5 } -> std::convertible_to<S>;
  { 0.5 / a } -> std::convertible_to<S>;
};

template <class S>
concept scalar_logistic = requires(S const a) {
  { softplus(a) } -> std::convertible_to<S>;
  { sigmoid(a) } -> std::convertible_to<S>;
  { log_sigmoid(a) } -> std::convertible_to<S>;
};

template <class S>
concept scalar_exponential = requires(S const a) {
  { exp(a) } -> std::convertible_to<S>;
  { expm1(a) } -> std::convertible_to<S>;
  { log(a) } -> std::convertible_to<S>;
  { log1mexp(a) } -> std::convertible_to<S>;
};

template <class S>
concept scalar_piecewise = requires(S const a, S const b) {
  { square(a) } -> std::convertible_to<S>;
  { relu(a) } -> std::convertible_to<S>;
  { clamp(a, -1.0, 1.0) } -> std::convertible_to<S>;
  { select(a > b, a, b) } -> std::convertible_to<S>;
};

template <class S>
struct primal {
  using type = S;
};

}  // namespace detail

/// A number that a loss formula can be evaluated on: float, double, dual, lane, probe, a tensor handle.
///
/// Semantics: each primitive computes what its name says, elementwise, without overflow where the
/// result is representable. `select(condition, a, b)` takes a where the condition holds; conditions
/// come from `>` and `<`. A formula never branches on a value and writes its constants as `double`.
template <class S>
concept Scalar =
    detail::scalar_arithmetic<S> && detail::scalar_arithmetic_with_double<S> &&
    detail::scalar_logistic<S> && detail::scalar_exponential<S> && detail::scalar_piecewise<S>;

/// Where exponentials of a scalar stop growing as such: far enough below overflow for a few more factors.
struct exponent_bound {
  double exponent;
  double exponential;
};
template <class S>
[[nodiscard]] constexpr exponent_bound exponent_bound_of() {
  constexpr auto bytes = [] {
    using number = typename detail::primal<S>::type;
    if constexpr (requires { typename number::value_type; }) {
      return sizeof(typename number::value_type);
    } else {
      return sizeof(number);
    }
  }();
  return bytes == sizeof(float) ? exponent_bound{75.0, 3.7332419967990015e+32}
                                : exponent_bound{690.0, 4.60460640478299e+299};
}

/// exp(x) that does not overflow: beyond the bound of S a straight line with the slope there, so that order and the
/// sign of the derivative are kept.
template <class S>
[[nodiscard]] constexpr S bounded_exp(S const& x) {
  constexpr auto bound = exponent_bound_of<S>();
  S const excess = relu(x - bound.exponent);
  return exp(x - excess) + bound.exponential * excess;
}

/// exp(x) - 1 in the same way, with all its digits near 0.
template <class S>
[[nodiscard]] constexpr S bounded_expm1(S const& x) {
  constexpr auto bound = exponent_bound_of<S>();
  S const excess = relu(x - bound.exponent);
  return expm1(x - excess) + bound.exponential * excess;
}

/// The type of a scalar's value without its derivatives; columns that carry no gradient have it.
template <class S>
using primal_t = typename detail::primal<S>::type;

}  // namespace prefer
