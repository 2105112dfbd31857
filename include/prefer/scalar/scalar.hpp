// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>

#include <prefer/scalar/math.hpp>  // the primitives of float and double must be visible here

namespace prefer::inline v0_1 {

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
  { value_of(a) };
};

/// Conditions: of scalars or of constants, and default-constructible, as a record of a batch without that column has one.
template <class S>
concept scalar_conditions = requires(S const a, S const b) {
  { select(a > b, a, b) } -> std::convertible_to<S>;
  { select(a < b, a, b) } -> std::convertible_to<S>;
  { select(a > b, 1.0, -1.0) } -> std::convertible_to<S>;
  requires std::default_initializable<decltype(a > b)>;
};

/// Stands for the types of hyper-parameters (positive, share, ...), which convert to double.
struct parameter_stand_in {
  constexpr operator double() const { return 1.0; }  // NOLINT(google-explicit-constructor)
};

template <class S>
concept scalar_constants =
    std::convertible_to<double, S> && requires(S const a, parameter_stand_in const parameter) {
      { a + parameter } -> std::convertible_to<S>;
      { parameter - a } -> std::convertible_to<S>;
      { parameter* a } -> std::convertible_to<S>;
      { a / parameter } -> std::convertible_to<S>;
    };

template <class S>
struct default_precision {};
template <std::floating_point S>
struct default_precision<S> {
  using precision = S;
};
template <class S>
  requires requires { requires std::floating_point<typename S::value_type>; }
struct default_precision<S> {
  using precision = typename S::value_type;
};

}  // namespace detail

/// What the library has to know about a scalar besides its operations. By default a number carries no derivatives, and
/// its precision is that of its `value_type`, where it has one. A scalar that differs says so in a specialisation.
template <class S>
struct scalar_traits
    : detail::default_precision<S> {  // `precision`: float or double, what overflows where
  using primal = S;                   ///< its value without derivatives
};

/// The type of a scalar's value without its derivatives; columns that carry no gradient have it.
template <class S>
using primal_t = typename scalar_traits<S>::primal;

/// The floating-point type in which a scalar computes.
template <class S>
using precision_t = typename scalar_traits<S>::precision;

namespace detail {

template <class S>
concept scalar_with_traits = requires {
  typename scalar_traits<S>::primal;
  requires std::floating_point<typename scalar_traits<S>::precision>;
};

}  // namespace detail

/// A number that a loss formula can be evaluated on: float, double, dual, lane, probe, a tensor handle.
///
/// Semantics: each primitive computes what its name says, elementwise, without overflow where the
/// result is representable. `select(condition, a, b)` takes a where the condition holds; conditions
/// come from `>` and `<`, and are of a type in whose namespace select is found. `value_of` leaves the value without its
/// derivatives. A formula never branches on a value and writes its constants as `double`; hyper-parameters stand in it
/// as types that convert to double. Where a scalar differentiates itself, the side of a select that is not taken adds
/// nothing, although it may be infinite there (log1mexp, bounded_exp).
template <class S>
concept Scalar =
    detail::scalar_arithmetic<S> && detail::scalar_arithmetic_with_double<S> &&
    detail::scalar_constants<S> && detail::scalar_logistic<S> && detail::scalar_exponential<S> &&
    detail::scalar_piecewise<S> && detail::scalar_conditions<S> && detail::scalar_with_traits<S>;

/// Where exponentials of a scalar stop growing as such: far enough below overflow for a few more factors.
struct exponent_bound {
  double exponent;
  double exponential;
};
template <class S>
[[nodiscard]] constexpr exponent_bound exponent_bound_of() {
  return sizeof(precision_t<S>) <= sizeof(float) ? exponent_bound{75.0, 3.7332419967990015e+32}
                                                 : exponent_bound{690.0, 4.60460640478299e+299};
}

/// The smaller of x and a constant; NaN passes through.
template <class S>
[[nodiscard]] constexpr S capped(S const& x, double most) {
  S const cap = most;
  return select(x > cap, cap, x);
}

/// exp(x) that does not overflow: beyond the bound of S a straight line with the slope there, so that order and the
/// sign of the derivative are kept.
template <class S>
[[nodiscard]] constexpr S bounded_exp(S const& x) {
  constexpr auto bound = exponent_bound_of<S>();
  return exp(capped(x, bound.exponent)) + bound.exponential * relu(x - bound.exponent);
}

/// exp(x) - 1 in the same way, with all its digits near 0.
template <class S>
[[nodiscard]] constexpr S bounded_expm1(S const& x) {
  constexpr auto bound = exponent_bound_of<S>();
  return expm1(capped(x, bound.exponent)) + bound.exponential * relu(x - bound.exponent);
}

/// weight * x, a term of a formula that a weight of 0 takes out: 0 then, whatever x is. So a term that is infinite, because
/// a log-probability is, does not make NaN of a formula that it is no part of. The weight is a parameter, or a scalar.
template <class W, class S>
[[nodiscard]] constexpr S weighted(W const& weight, S const& x) {
  S const product = S(weight * x);
  if constexpr (std::convertible_to<W, double>) {
    // One condition for all examples, which leaves their loop.
    auto const counts = primal_t<S>(weight == 0.0 ? 0.0 : 1.0);
    return select(counts > 0.0, product, S(0.0));
  } else {
    return select(weight < 0.0, product, select(weight > 0.0, product, S(weight)));
  }
}

/// A finite number in place of an infinite one, so large that no exponential tells it from infinity: for factors that meet
/// the 0 of an exponential. The derivative is 0 there.
template <class S>
[[nodiscard]] constexpr S finite(S const& x) {
  S const most = S(1e30);
  S const least = S(-1e30);
  return select(x > most, most, select(x < least, least, x));
}

/// The number of which value and derivative by x are known: for formulas whose parts cancel in the derivative, or meet
/// infinities in it.
template <class S>
[[nodiscard]] constexpr S with_slope(S const& x, primal_t<S> const& value,
                                     primal_t<S> const& slope) {
  S const at = finite(x);
  return value + slope * (at - value_of(at));
}

/// log(exp(a) + exp(b)), without overflow; either may be minus infinity.
template <class S>
[[nodiscard]] constexpr S log_add_exp(S const& a, S const& b) {
  auto const first_is_larger = a > b;
  return select(first_is_larger, a, b) + softplus(select(first_is_larger, b - a, a - b));
}

/// (1 - e) softplus(-z) + e softplus(z), the logistic loss where a share e of the labels is flipped. With infinite z it is
/// the limit: 0 for z = infinity and e = 0, else infinity.
///
/// As softplus(z) = softplus(-z) + z, that is softplus(-z) + e z, with one softplus; e may be negative (robust_dpo).
template <class S>
[[nodiscard]] constexpr S smoothed_logistic(S const& z, double e) {
  if (e == 0.0) return softplus(-z);
  // Both linear parts of softplus(-z) + e z in one product, so that two infinities of unlike signs do not meet.
  using primal = primal_t<S>;
  auto const falling = z < 0.0;
  primal const sign = select(falling, primal(1.0), primal(-1.0));
  primal const slope = select(falling, primal(e - 1.0), primal(e));
  return softplus(sign * z) + slope * z;
}

}  // namespace prefer::inline v0_1
