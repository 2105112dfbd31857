// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include <prefer/expects.hpp>
#include <prefer/random/philox.hpp>

namespace prefer::inline v0_1 {

// The distributions give the same bits on every platform with IEEE 754 arithmetic (and without -ffast-math): integers,
// and correctly rounded operations in an order that leaves the compiler no multiply-add to fuse or not to fuse.

/// Uniform on [0, 1): k * 2^-53 with k uniform on [0, 2^53).
[[nodiscard]] constexpr double uniform01(random_stream& numbers) {
  return static_cast<double>(numbers.next64() >> 11) * 0x1p-53;
}

/// Uniform on [0, 1) in float: k * 2^-24 with k uniform on [0, 2^24). One word per draw.
[[nodiscard]] constexpr float uniform01_float(random_stream& numbers) {
  return static_cast<float>(numbers() >> 8) * 0x1p-24F;
}

/// Uniform on [0, n), without bias.
///
/// Errors  n == 0 throws precondition_error
/// Source  up to 2^32: Lemire 2019, "Fast random integer generation in an interval"; above: rejection under a bit mask
[[nodiscard]] constexpr std::uint64_t below(random_stream& numbers, std::uint64_t n) {
  expects(n != 0, "below: n must be greater than zero");
  if (n >> 32 == 0) {
    std::uint64_t product = numbers() * n;
    // Of the 2^32 words, 2^32 mod n are too many; they are those whose low half is below that remainder.
    if (static_cast<std::uint32_t>(product) < n) {
      std::uint64_t const surplus = (std::uint64_t{1} << 32) % n;
      while (static_cast<std::uint32_t>(product) < surplus) product = numbers() * n;
    }
    return product >> 32;
  }
  std::uint64_t const mask = ~std::uint64_t{0} >> std::countl_zero(n - 1);
  for (;;) {
    std::uint64_t const word = numbers.next64() & mask;
    if (word < n) return word;
  }
}

namespace detail {

// The coefficients are listed from the highest power down.
template <std::size_t N>
[[nodiscard]] inline double horner(double x, std::array<double, N> const& coefficients) noexcept {
  double sum = coefficients[0];
  for (std::size_t i = 1; i != N; ++i) sum = __builtin_fma(sum, x, coefficients[i]);
  return sum;
}

// log of a normal, positive number, to about 1 ulp. Our own because two C libraries may differ in the last bit.
//   x = m 2^e, m in [sqrt(1/2), sqrt(2)),  log x = e log 2 + 2 artanh(s),  s = (m - 1) / (m + 1)
[[nodiscard]] inline double portable_log(double x) noexcept {
  constexpr std::uint64_t mantissa_mask = (std::uint64_t{1} << 52) - 1;
  constexpr std::uint64_t sqrt_half_bits = 0x3fe6a09e667f3bcd;
  // Moving the exponent's border from 1 to sqrt(1/2) makes the shift round towards the wanted e.
  std::uint64_t const shifted =
      std::bit_cast<std::uint64_t>(x) - sqrt_half_bits + (std::uint64_t{1023} << 52);
  auto const exponent = static_cast<double>(static_cast<std::int64_t>(shifted >> 52) - 1023);
  double const m = std::bit_cast<double>((shifted & mantissa_mask) + sqrt_half_bits);
  double const s = (m - 1) / (m + 1);
  // 2 artanh(s) = s (2 + 2/3 s^2 + 2/5 s^4 + ...); |s| <= 0.172, so the first term left out is below 2^-60 of the sum.
  static constexpr std::array<double, 11> series = {2.0 / 21, 2.0 / 19, 2.0 / 17, 2.0 / 15,
                                                    2.0 / 13, 2.0 / 11, 2.0 / 9,  2.0 / 7,
                                                    2.0 / 5,  2.0 / 3,  2.0};
  constexpr double ln2_high = 0x1.62e42fefa39efp-1;
  constexpr double ln2_low = 0x1.abc9e3b39803fp-56;
  double const log_m = __builtin_fma(s, horner(s * s, series), exponent * ln2_low);
  return __builtin_fma(exponent, ln2_high, log_m);
}

}  // namespace detail

/// Quantile of the standard normal distribution: the z with P(Z < z) = p, relative error about 1e-15.
///
/// Errors  p outside (0, 1) throws precondition_error
/// Source  Wichura 1988, algorithm AS 241 (PPND16), Applied Statistics 37, 477
[[nodiscard]] inline double normal_quantile(double p) {
  expects(p > 0 && p < 1, "normal_quantile: p must be between 0 and 1, both excluded");
  double const q = p - 0.5;
  if (q >= -0.425 && q <= 0.425) {
    static constexpr std::array<double, 8> a = {2.5090809287301226727e+3, 3.3430575583588128105e+4,
                                                6.7265770927008700853e+4, 4.5921953931549871457e+4,
                                                1.3731693765509461125e+4, 1.9715909503065514427e+3,
                                                1.3314166789178437745e+2, 3.3871328727963666080e+0};
    static constexpr std::array<double, 8> b = {5.2264952788528545610e+3, 2.8729085735721942674e+4,
                                                3.9307895800092710610e+4, 2.1213794301586595867e+4,
                                                5.3941960214247511077e+3, 6.8718700749205790830e+2,
                                                4.2313330701600911252e+1, 1.0};
    double const r = __builtin_fma(-q, q, 0.180625);
    return q * detail::horner(r, a) / detail::horner(r, b);
  }
  double const tail = q < 0 ? p : 1 - p;
  double const r = __builtin_sqrt(-detail::portable_log(tail));
  double z = 0;
  if (r <= 5) {
    static constexpr std::array<double, 8> c = {
        7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1,
        1.27045825245236838258e+0, 3.64784832476320460504e+0, 5.76949722146069140550e+0,
        4.63033784615654529590e+0, 1.42343711074968357734e+0};
    static constexpr std::array<double, 8> d = {
        1.05075007164441684324e-9, 5.47593808499534494600e-4,
        1.51986665636164571966e-2, 1.48103976427480074590e-1,
        6.89767334985100004550e-1, 1.67638483018380384940e+0,
        2.05319162663775882187e+0, 1.0};
    z = detail::horner(r - 1.6, c) / detail::horner(r - 1.6, d);
  } else {
    static constexpr std::array<double, 8> e = {
        2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3,
        2.65321895265761230930e-2, 2.96560571828504891230e-1, 1.78482653991729133580e+0,
        5.46378491116411436990e+0, 6.65790464350110377720e+0};
    static constexpr std::array<double, 8> f = {
        2.04426310338993978564e-15, 1.42151175831644588870e-7,
        1.84631831751005468180e-5,  7.86869131145613259100e-4,
        1.48753612908506148525e-2,  1.36929880922735805310e-1,
        5.99832206555887937690e-1,  1.0};
    z = detail::horner(r - 5, e) / detail::horner(r - 5, f);
  }
  return q < 0 ? -z : z;
}

/// Standard normal, by inversion: normal_quantile of the middle of one of 2^52 equal parts of (0, 1), so |z| < 8.3.
[[nodiscard]] inline double normal(random_stream& numbers) {
  std::uint64_t const odd = (numbers.next64() >> 12) * 2 + 1;
  return normal_quantile(static_cast<double>(odd) * 0x1p-53);
}

/// Fills `values` with independent normal numbers; element i has the address with `index` increased by i, so that any
/// split over threads gives the same values.
template <class T>
void fill_normal(std::span<T> values, random_address address, double mean,
                 double standard_deviation) {
  for (T& value : values) {
    random_stream numbers(address);
    value = static_cast<T>(__builtin_fma(standard_deviation, normal(numbers), mean));
    ++address.index;
  }
}

}  // namespace prefer::inline v0_1
