// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <limits>

#include <prefer/scalar/lane_math.hpp>
#include <prefer/scalar/math.hpp>
#include <prefer/scalar/scalar.hpp>

namespace prefer::inline v0_1 {

/// Value and derivative for plain floating point; before dual, because no argument-dependent lookup finds them.
template <std::floating_point T>
[[nodiscard]] constexpr value_and_derivative<T> softplus_with_derivative(T x) {
  return {softplus(x), sigmoid(x)};
}
template <std::floating_point T>
[[nodiscard]] constexpr value_and_derivative<T> sigmoid_with_derivative(T x) {
  T const e = std::exp(-std::abs(x));
  T const inverse = T(1) / (T(1) + e);
  return {(x < T(0) ? e : T(1)) * inverse, e * inverse * inverse};
}

/// A value and its N partial derivatives: forward-mode differentiation of whatever is computed with it.
///
/// S is the scalar underneath: double, or a lane. Numbers that carry no derivative stay plain S (or
/// double), which costs nothing. The derivatives of the logistic primitives are written by hand, so
/// they keep their precision where the rule of each elementary step would cancel or overflow. Primitives
/// of S are found as names of prefer or by argument-dependent lookup, so S may come from another header.
template <class S, std::size_t N>
struct dual {
  S value;
  S partial[N];

  dual() = default;
  /// A constant: all partials are zero.
  constexpr dual(S constant) : value(constant) {  // NOLINT(google-explicit-constructor)
    for (S& p : partial) p = S(0.0);
  }
  constexpr dual(double constant)  // NOLINT(google-explicit-constructor)
    requires(!std::same_as<S, double>)
      : dual(S(constant)) {}

  /// The variable with number `index`.
  [[nodiscard]] static constexpr dual variable(S value, std::size_t index) {
    dual out(value);
    out.partial[index] = S(1.0);
    return out;
  }

  /// f(x) where f and f' are known at x.value.
  [[nodiscard]] friend constexpr dual chain(dual const& x, S f, S derivative) {
    dual out;
    out.value = f;
    for (std::size_t i = 0; i < N; ++i) out.partial[i] = derivative * x.partial[i];
    return out;
  }

  friend constexpr dual operator-(dual const& a) { return chain(a, -a.value, S(-1.0)); }
  friend constexpr dual operator+(dual a, dual const& b) {
    a.value = a.value + b.value;
    for (std::size_t i = 0; i < N; ++i) a.partial[i] = a.partial[i] + b.partial[i];
    return a;
  }
  friend constexpr dual operator-(dual a, dual const& b) {
    a.value = a.value - b.value;
    for (std::size_t i = 0; i < N; ++i) a.partial[i] = a.partial[i] - b.partial[i];
    return a;
  }
  friend constexpr dual operator*(dual const& a, dual const& b) {
    dual out;
    out.value = a.value * b.value;
    for (std::size_t i = 0; i < N; ++i) {
      out.partial[i] = a.partial[i] * b.value + a.value * b.partial[i];
    }
    return out;
  }
  friend constexpr dual operator/(dual const& a, dual const& b) {
    S const inverse = S(1.0) / b.value;
    dual out;
    out.value = a.value * inverse;
    for (std::size_t i = 0; i < N; ++i) {
      out.partial[i] = (a.partial[i] - out.value * b.partial[i]) * inverse;
    }
    return out;
  }

  // With a constant (double, or S) on one side; `C` keeps S and double from being ambiguous.
  template <class C>
    requires(!std::same_as<C, dual> && std::constructible_from<S, C>)
  friend constexpr dual operator+(dual a, C const& c) {
    a.value = a.value + S(c);
    return a;
  }
  template <class C>
    requires(!std::same_as<C, dual> && std::constructible_from<S, C>)
  friend constexpr dual operator+(C const& c, dual a) {
    a.value = S(c) + a.value;
    return a;
  }
  template <class C>
    requires(!std::same_as<C, dual> && std::constructible_from<S, C>)
  friend constexpr dual operator-(dual a, C const& c) {
    a.value = a.value - S(c);
    return a;
  }
  template <class C>
    requires(!std::same_as<C, dual> && std::constructible_from<S, C>)
  friend constexpr dual operator-(C const& c, dual const& a) {
    return chain(a, S(c) - a.value, S(-1.0));
  }
  template <class C>
    requires(!std::same_as<C, dual> && std::constructible_from<S, C>)
  friend constexpr dual operator*(dual const& a, C const& c) {
    return chain(a, a.value * S(c), S(c));
  }
  template <class C>
    requires(!std::same_as<C, dual> && std::constructible_from<S, C>)
  friend constexpr dual operator*(C const& c, dual const& a) {
    return chain(a, S(c) * a.value, S(c));
  }
  template <class C>
    requires(!std::same_as<C, dual> && std::constructible_from<S, C>)
  friend constexpr dual operator/(dual const& a, C const& c) {
    return chain(a, a.value / S(c), S(1.0) / S(c));
  }
  template <class C>
    requires(!std::same_as<C, dual> && std::constructible_from<S, C>)
  friend constexpr dual operator/(C const& c, dual const& a) {
    S const inverse = S(1.0) / a.value;
    S const quotient = S(c) * inverse;
    return chain(a, quotient, -quotient * inverse);
  }

  friend constexpr auto operator>(dual const& a, dual const& b) { return a.value > b.value; }
  friend constexpr auto operator<(dual const& a, dual const& b) { return a.value < b.value; }
  template <class C>
    requires(!std::same_as<C, dual> && std::constructible_from<S, C>)
  friend constexpr auto operator>(dual const& a, C const& c) {
    return a.value > S(c);
  }
  template <class C>
    requires(!std::same_as<C, dual> && std::constructible_from<S, C>)
  friend constexpr auto operator<(dual const& a, C const& c) {
    return a.value < S(c);
  }

  friend constexpr dual softplus(dual const& x) {
    auto const both = softplus_with_derivative(x.value);
    return chain(x, both.value, both.derivative);
  }
  friend constexpr dual sigmoid(dual const& x) {
    auto const both = sigmoid_with_derivative(x.value);
    return chain(x, both.value, both.derivative);
  }
  friend constexpr dual log_sigmoid(dual const& x) { return -softplus(-x); }
  friend constexpr dual exp(dual const& x) {
    using prefer::exp;
    S const e = exp(x.value);
    return chain(x, e, e);
  }
  friend constexpr dual expm1(dual const& x) {
    using prefer::exp, prefer::expm1;
    return chain(x, expm1(x.value), exp(x.value));
  }
  friend constexpr dual log(dual const& x) {
    using prefer::log;
    return chain(x, log(x.value), S(1.0) / x.value);
  }
  friend constexpr dual log1mexp(dual const& x) {
    using prefer::exp, prefer::expm1, prefer::log1mexp;
    return chain(x, log1mexp(x.value), exp(x.value) / expm1(x.value));
  }
  /// Of an infinite number the derivatives are infinite, but for those by variables that it does not depend on.
  friend constexpr dual square(dual const& x) {
    S const slope = x.value + x.value;
    dual out;
    out.value = x.value * x.value;
    for (std::size_t i = 0; i < N; ++i) {
      S const p = x.partial[i];
      S const product = slope * p;
      out.partial[i] = select_value(p < S(0.0), product, select_value(p > S(0.0), product, p));
    }
    return out;
  }
  friend constexpr dual relu(dual const& x) {
    using prefer::relu;
    return chain(x, relu(x.value), select_value(x.value > S(0.0), S(1.0), S(0.0)));
  }
  friend constexpr dual clamp(dual const& x, double low, double high) {
    S const above = select_value(x.value > S(low), S(1.0), S(0.0));
    using prefer::clamp;
    return chain(x, clamp(x.value, low, high), select_value(x.value < S(high), above, S(0.0)));
  }
  friend constexpr S value_of(dual const& x) { return x.value; }

  /// The first where the condition holds, else the second; either may be a constant.
  template <class M>
  [[nodiscard]] static constexpr dual choose(M const& condition, dual const& a, dual const& b) {
    dual out;
    out.value = select_value(condition, a.value, b.value);
    for (std::size_t i = 0; i < N; ++i) {
      out.partial[i] = select_value(condition, a.partial[i], b.partial[i]);
    }
    return out;
  }

 private:
  template <class M>
  [[nodiscard]] static constexpr S select_value(M const& condition, S a, S b) {
    using prefer::select;
    return select(condition, a, b);
  }
};

template <class M, class S, std::size_t N>
[[nodiscard]] constexpr dual<S, N> select(M const& condition, dual<S, N> const& a,
                                          dual<S, N> const& b) {
  return dual<S, N>::choose(condition, a, b);
}
template <class M, class C, class S, std::size_t N>
  requires std::constructible_from<S, C>
[[nodiscard]] constexpr dual<S, N> select(M const& condition, dual<S, N> const& a, C const& b) {
  return dual<S, N>::choose(condition, a, dual<S, N>(S(b)));
}
template <class M, class C, class S, std::size_t N>
  requires std::constructible_from<S, C>
[[nodiscard]] constexpr dual<S, N> select(M const& condition, C const& a, dual<S, N> const& b) {
  return dual<S, N>::choose(condition, dual<S, N>(S(a)), b);
}

template <class S, std::size_t N>
struct scalar_traits<dual<S, N>> {
  using primal = S;
  using precision = precision_t<S>;
};

// Formulas of scalar.hpp that cost less where value and derivative are at hand.

template <class S, std::size_t N>
[[nodiscard]] constexpr dual<S, N> with_slope(dual<S, N> const& x,
                                              primal_t<dual<S, N>> const& value,
                                              primal_t<dual<S, N>> const& slope) {
  return chain(x, value, slope);
}
/// As softplus(-z) + e z; the linear part stops at the last number before minus infinity, where softplus is infinite.
template <class S, std::size_t N>
[[nodiscard]] constexpr dual<S, N> smoothed_logistic(dual<S, N> const& z, double e) {
  if (e == 0.0) return softplus(-z);
  using prefer::select;
  S const least = std::numeric_limits<precision_t<S>>::lowest();
  S const linear = select(z.value > least, z.value, least);
  auto const both = softplus_with_derivative(-z.value);
  return chain(z, both.value + S(e) * linear, S(e) - both.derivative);
}

}  // namespace prefer::inline v0_1
