// SPDX-License-Identifier: MIT
#pragma once

#include <limits>
#include <utility>

#include <prefer/scalar/lane.hpp>
#include <prefer/scalar/scalar.hpp>

namespace prefer::inline v0_1 {

// Branch-free primitives on lanes. Polynomials are Taylor series, cut where the next term is below half
// a unit in the last place of the reduced argument's range; measured errors are in tests/scalar.

namespace detail {

template <class T>
struct float_layout;
template <>
struct float_layout<float> {
  static constexpr int mantissa = 23;
  static constexpr std::int32_t bias = 127;
  static constexpr double to_integer = 12582912.0;  // 1.5 * 2^23: adding it rounds to an integer
  static constexpr double ln2_high = 0.693359375;   // few bits, so that n * ln2_high is exact
  static constexpr double ln2_low = -2.12194440054690583e-4;
  static constexpr double exp_low = -86.6;     // below, the result would be subnormal: 0 instead
  static constexpr double exp_high = 88.72;    // above, the result overflows to infinity
  static constexpr std::size_t exp_terms = 7;  // r^8/8! < 5.2e-9 for |r| <= ln(2)/2
  static constexpr std::size_t log_terms = 5;  // s^10/11 < 2.1e-9 for |s| <= 3 - 2 sqrt(2)
};
template <>
struct float_layout<double> {
  static constexpr int mantissa = 52;
  static constexpr std::int64_t bias = 1023;
  static constexpr double to_integer = 6755399441055744.0;  // 1.5 * 2^52
  static constexpr double ln2_high = 0.693147180369123816490;
  static constexpr double ln2_low = 1.90821492927058770002e-10;
  static constexpr double exp_low = -707.5;
  static constexpr double exp_high = 709.782;
  static constexpr std::size_t exp_terms = 13;    // r^14/14! < 4.2e-18
  static constexpr std::size_t log_terms = 11;    // s^22/23 < 6.2e-19
  static constexpr std::size_t log1p_terms = 17;  // s^34/35 < 1.8e-18
};

template <std::size_t N>
struct coefficients {
  double c[N];
};

template <class S, std::size_t N, std::size_t... K>
[[nodiscard]] inline S horner(S x, coefficients<N> const& p, std::index_sequence<K...>) {
  S value = p.c[N - 1];
  ((value = value * x + S(p.c[N - 2 - K])), ...);  // no loop: g++ -O2 would keep one
  return value;
}

/// c[0] + c[1] x + c[2] x^2 + ...
template <class S, std::size_t N>
[[nodiscard]] inline S polynomial(S x, coefficients<N> const& p) {
  return horner(x, p, std::make_index_sequence<N - 1>());
}

/// 1 / k! for k = First ... Last: with x^First in front, those terms of exp(x).
template <std::size_t First, std::size_t Last>
inline constexpr auto exponential_series = [] {
  coefficients<Last - First + 1> out{};
  double factorial = 1.0;
  for (std::size_t k = 1; k <= Last; ++k) {
    factorial *= static_cast<double>(k);
    if (k + 1 > First) out.c[k - First] = 1.0 / factorial;
  }
  if (First == 0) out.c[0] = 1.0;
  return out;
}();

/// 1 / (2 k + 1): atanh(s) = s * (1 + q/3 + q^2/5 + ...), q = s^2.
template <std::size_t Terms>
inline constexpr auto atanh_series = [] {
  coefficients<Terms> out{};
  for (std::size_t k = 0; k < Terms; ++k) out.c[k] = 1.0 / static_cast<double>(2 * k + 1);
  return out;
}();

template <class T, std::size_t W>
struct exp_parts {
  lane<T, W> r;           // x - n ln 2, |r| <= ln(2)/2
  lane<T, W> half_scale;  // 2^(n-1): one short, so that n = bias + 1 does not overflow
};

template <class T, std::size_t W>
[[nodiscard]] inline exp_parts<T, W> reduce_for_exp(lane<T, W> x) {
  using layout = float_layout<T>;
  lane<T, W> const shifted =
      x * lane<T, W>(1.44269504088896340736) + lane<T, W>(layout::to_integer);
  lane<T, W> const n = shifted - lane<T, W>(layout::to_integer);
  auto const exponent = as_bits(shifted) - as_bits(lane<T, W>(layout::to_integer));
  auto const scale = (exponent + same_bits<T, W>(layout::bias - 1)) << layout::mantissa;
  return {x - n * lane<T, W>(layout::ln2_high) - n * lane<T, W>(layout::ln2_low),
          from_bits<T, W>(scale)};
}

/// exp(x) for x <= 0.
template <class T, std::size_t W>
[[nodiscard]] inline lane<T, W> exp_nonpositive(lane<T, W> x) {
  using layout = float_layout<T>;
  auto const reduced = reduce_for_exp(x);
  lane<T, W> const p = [&reduced] {
    if constexpr (sizeof(T) == 4) {
      // Minimax on |r| <= ln(2)/2, relative error 1.9e-9; one step shorter than the series.
      constexpr coefficients<7> c = {{1.0, 1.00000003632, 0.499999920798, 0.166664201701,
                                      0.0416682255827, 0.00837481579073, 0.00138368451303}};
      return polynomial(reduced.r, c);
    } else {
      return polynomial(reduced.r, exponential_series<0, layout::exp_terms>);
    }
  }();
  return select(x < lane<T, W>(layout::exp_low), lane<T, W>(0.0), (p + p) * reduced.half_scale);
}

/// log1p(e) for 0 <= e <= 1, without cancellation for small e.
template <class T, std::size_t W>
[[nodiscard]] inline lane<T, W> log1p_unit(lane<T, W> e) {
  if constexpr (sizeof(T) == 4) {
    // log1p(e) / e, minimax on [0, 1], relative error 3.0e-8: no division.
    constexpr coefficients<9> c = {{0.99999996988, -0.499994931362, 0.33319096724, -0.248429816251,
                                    0.191060047105, -0.13663241868, 0.0782259097531,
                                    -0.029505215033, 0.00523268878685}};
    return e * polynomial(e, c);
  } else {
    lane<T, W> const s = e / (e + lane<T, W>(2.0));
    return (s + s) * polynomial(s * s, atanh_series<float_layout<T>::log1p_terms>);  // 2 atanh(s)
  }
}

}  // namespace detail

template <class T, std::size_t W>
[[nodiscard]] inline lane<T, W> exp(lane<T, W> x) {
  using L = lane<T, W>;
  L const below = detail::exp_nonpositive(x);  // right for every x that does not overflow
  return select(x > L(detail::float_layout<T>::exp_high),
                L(std::numeric_limits<double>::infinity()), below);
}

template <class T, std::size_t W>
[[nodiscard]] inline lane<T, W> expm1(lane<T, W> x) {
  using L = lane<T, W>;
  using layout = detail::float_layout<T>;
  auto const [r, half_scale] = detail::reduce_for_exp(x);
  L const p =
      r * detail::polynomial(r, detail::exponential_series<1, layout::exp_terms + 1>);  // expm1(r)
  L const half = p * half_scale + (half_scale - L(0.5));  // of the result: 2^n itself may overflow
  L const bounded = select(x < L(layout::exp_low), L(-1.0), half + half);
  return select(x > L(layout::exp_high), L(std::numeric_limits<double>::infinity()), bounded);
}

/// log(x); -infinity at 0, NaN below, subnormal numbers count as 0.
template <class T, std::size_t W>
[[nodiscard]] inline lane<T, W> log(lane<T, W> x) {
  using L = lane<T, W>;
  using layout = detail::float_layout<T>;
  using bits = detail::bits_of<T>;
  constexpr double infinity = std::numeric_limits<double>::infinity();
  // Exponent of x * 2/sqrt(2), so that the mantissa lies in [sqrt(1/2), sqrt(2)).
  constexpr bits half_root =
      sizeof(T) == 4 ? bits(0x3f3504f3) : static_cast<bits>(0x3fe6a09e667f3bcdLL);
  auto const offset = detail::same_bits<T, W>(half_root);
  auto const raw = detail::as_bits(x);
  auto const exponent = (raw - offset) >> layout::mantissa;
  L const m = detail::from_bits<T, W>(raw - (exponent << layout::mantissa));
  // Small integers to floating point through the mantissa of 1.5 * 2^mantissa; no conversion needed.
  L const magic = layout::to_integer;
  L const n = detail::from_bits<T, W>(detail::as_bits(magic) + exponent) - magic;
  L const s = (m - L(1.0)) / (m + L(1.0));
  L const log_m = (s + s) * detail::polynomial(s * s, detail::atanh_series<layout::log_terms>);
  L out = n * L(layout::ln2_high) + (n * L(layout::ln2_low) + log_m);
  out = select(x < L(static_cast<double>(std::numeric_limits<T>::min())), L(-infinity), out);
  out = select(x < L(0.0), L(std::numeric_limits<double>::quiet_NaN()), out);
  return select(x < L(infinity), out, x);  // infinity and NaN pass through
}

/// log(1 + x) for x > -1.
template <class T, std::size_t W>
[[nodiscard]] inline lane<T, W> log1p(lane<T, W> x) {
  using L = lane<T, W>;
  L const u = L(1.0) + x;
  return select(x > L(-1.0), log(u) + (x - (u - L(1.0))) / u, log(u));
}

/// sqrt(x), correctly rounded; NaN below 0. By the vector instruction: in a plain loop over std::sqrt both
/// compilers keep a call for negative arguments (errno), and the loop stays scalar.
template <class T, std::size_t W>
[[nodiscard]] inline lane<T, W> sqrt(lane<T, W> a) {
#if PREFER_VECTOR_LANES && defined(__SSE2__)
  if constexpr (sizeof(a) == 16 && sizeof(T) == 4) {
    return lane<T, W>(__builtin_ia32_sqrtps(a.v));
  } else if constexpr (sizeof(a) == 16) {
    return lane<T, W>(__builtin_ia32_sqrtpd(a.v));
  }
#if defined(__AVX__)
  else if constexpr (sizeof(a) == 32 && sizeof(T) == 4) {
    return lane<T, W>(__builtin_ia32_sqrtps256(a.v));
  } else if constexpr (sizeof(a) == 32) {
    return lane<T, W>(__builtin_ia32_sqrtpd256(a.v));
  }
#endif
  else
#endif
  {
    T elements[W];
    a.store(elements);
    for (T& each : elements) {
      each = sizeof(T) == 4 ? static_cast<T>(__builtin_sqrtf(static_cast<float>(each)))
                            : static_cast<T>(__builtin_sqrt(static_cast<double>(each)));
    }
    return lane<T, W>::load(elements);
  }
}

/// log(1 + exp(x)) and its derivative sigmoid(x), from one exponential.
template <class S>
struct value_and_derivative {
  S value;
  S derivative;
};

template <class T, std::size_t W>
[[nodiscard]] inline value_and_derivative<lane<T, W>> softplus_with_derivative(lane<T, W> x) {
  using L = lane<T, W>;
  L const e = detail::exp_nonpositive(-abs(x));
  auto const positive = x > L(0.0);  // where it is not, e = exp(x), and NaN stays NaN
  return {select(positive, x, L(0.0)) + detail::log1p_unit(e),
          select(positive, L(1.0), e) / (L(1.0) + e)};
}

template <class T, std::size_t W>
[[nodiscard]] inline lane<T, W> softplus(lane<T, W> x) {
  return softplus_with_derivative(x).value;
}

/// sigmoid(x) and its derivative sigmoid(x) sigmoid(-x), never formed as 1 - sigmoid.
template <class T, std::size_t W>
[[nodiscard]] inline value_and_derivative<lane<T, W>> sigmoid_with_derivative(lane<T, W> x) {
  using L = lane<T, W>;
  L const e = detail::exp_nonpositive(-abs(x));
  L const inverse = L(1.0) / (L(1.0) + e);
  return {select(x < L(0.0), e, L(1.0)) * inverse, e * inverse * inverse};
}

template <class T, std::size_t W>
[[nodiscard]] inline lane<T, W> sigmoid(lane<T, W> x) {
  return sigmoid_with_derivative(x).value;
}

template <class T, std::size_t W>
[[nodiscard]] inline lane<T, W> log_sigmoid(lane<T, W> x) {
  return -softplus(-x);
}

template <class T, std::size_t W>
[[nodiscard]] inline lane<T, W> log1mexp(lane<T, W> x) {
  using L = lane<T, W>;
  // log(-expm1(x)) near 0 and log1p(-exp(x)) elsewhere, whose logarithm is taken once, of either argument.
  auto const close = x > L(-0.69314718055994530942);
  L const e = exp(x);
  L const rest = L(1.0) - e;
  L const rounded_off = (L(1.0) - rest) - e;
  L const out = log(select(close, -expm1(x), rest));
  return select(close, out, out + rounded_off / rest);
}

template <class T, std::size_t W>
[[nodiscard]] inline lane<T, W> square(lane<T, W> x) {
  return x * x;
}
template <class T, std::size_t W>
[[nodiscard]] inline lane<T, W> relu(lane<T, W> x) {
  return select(x < lane<T, W>(0.0), lane<T, W>(0.0), x);  // NaN passes through
}
template <class T, std::size_t W>
[[nodiscard]] inline lane<T, W> clamp(lane<T, W> x, double low, double high) {
  lane<T, W> const l = low;
  lane<T, W> const h = high;
  return select(x < l, l, select(x > h, h, x));
}

}  // namespace prefer::inline v0_1
