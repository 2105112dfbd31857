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
concept Scalar = detail::scalar_arithmetic<S> && detail::scalar_arithmetic_with_double<S> &&
    detail::scalar_logistic<S> && detail::scalar_exponential<S> && detail::scalar_piecewise<S>;

/// The largest exponent whose exponential leaves room for a few more factors: 80 in float, else 690.
template <class S>
[[nodiscard]] constexpr double exponent_limit() {
  using number = typename detail::primal<S>::type;
  if constexpr (requires { typename number::value_type; }) {
    return sizeof(typename number::value_type) == sizeof(float) ? 80.0 : 690.0;
  } else {
    return sizeof(number) == sizeof(float) ? 80.0 : 690.0;
  }
}

/// exp(x) up to an exponent of `most`, or of what S can hold; constant, with derivative 0, beyond it.
template <class S>
[[nodiscard]] constexpr S bounded_exp(S const& x, double most = exponent_limit<S>()) {
  double const limit = most < exponent_limit<S>() ? most : exponent_limit<S>();
  return exp(clamp(x, -limit, limit));
}

/// The type of a scalar's value without its derivatives; columns that carry no gradient have it.
template <class S>
using primal_t = typename detail::primal<S>::type;

}  // namespace prefer
