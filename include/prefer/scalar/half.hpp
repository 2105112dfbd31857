// SPDX-License-Identifier: MIT
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>

#include <prefer/target.hpp>

// Numbers of 16 bits, for storage: read as float, computed with in float, written rounded to the nearest number, of two as
// near the even one. All of it is constexpr and without branches, for lanes and devices alike.

namespace prefer::inline v0_1 {

namespace detail {

/// A float from which rounding to 16 bits gives what rounding the double would: cut off, with the last bit set where
/// something was lost, so that no tie appears that is none.
[[nodiscard]] constexpr float rounded_to_odd(double x) {
  float const nearest = static_cast<float>(x);
  double const back = static_cast<double>(nearest);
  if (back == x || x != x) return nearest;
  auto bits = std::bit_cast<std::uint32_t>(nearest);
  if (x < 0.0 ? back < x : back > x) --bits;  // away from zero: back to the number before
  return std::bit_cast<float>(bits | 1u);
}
[[nodiscard]] constexpr float rounded_to_odd(float x) { return x; }

inline constexpr std::uint32_t float_sign = 0x80000000u;
inline constexpr std::uint32_t float_infinity = 0x7f800000u;

[[nodiscard]] constexpr float float_of_half(std::uint16_t stored) {
  std::uint32_t const magnitude = stored & 0x7fffu;
  std::uint32_t const sign = static_cast<std::uint32_t>(stored & 0x8000u) << 16;
  // The exponent's bias is 15 there and 127 here; the highest exponent means infinity or NaN in both.
  std::uint32_t const rebias = (magnitude >= 0x7c00u ? 2u * 112u : 112u) << 23;
  std::uint32_t const normal = (magnitude << 13) + rebias;
  float const units = static_cast<float>(static_cast<std::int32_t>(magnitude)) * 0x1p-24f;
  // By masks: a `?` around arithmetic of floats is a branch to g++, and keeps the loop around it from becoming lanes.
  std::uint32_t const subnormal = magnitude < 0x0400u ? ~0u : 0u;
  return std::bit_cast<float>(sign | (std::bit_cast<std::uint32_t>(units) & subnormal) |
                              (normal & ~subnormal));
}

[[nodiscard]] constexpr std::uint16_t half_of_float(float x) {
  auto const bits = std::bit_cast<std::uint32_t>(x);
  std::uint32_t const magnitude = bits & ~float_sign;
  std::uint32_t const even = (magnitude >> 13) & 1u;
  std::uint32_t const normal = (magnitude - (112u << 23) + 0x0fffu + even) >> 13;
  // At 1/2 a float's last digit is 2^-24, as that of a subnormal half: the sum rounds as wanted.
  std::uint32_t const subnormal =
      std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3f000000u;
  std::uint32_t const nan = 0x7e00u | ((magnitude >> 13) & 0x03ffu);
  std::uint32_t out = magnitude < 0x38800000u ? subnormal : normal;
  out = magnitude >= 0x477ff000u ? 0x7c00u : out;  // from 65,520 on, halfway beyond the largest
  out = magnitude > float_infinity ? nan : out;
  return static_cast<std::uint16_t>(out | ((bits & float_sign) >> 16));
}

[[nodiscard]] constexpr float float_of_bfloat16(std::uint16_t stored) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(stored) << 16);
}

[[nodiscard]] constexpr std::uint16_t bfloat16_of_float(float x) {
  auto const bits = std::bit_cast<std::uint32_t>(x);
  std::uint32_t const nearest = bits + 0x7fffu + ((bits >> 16) & 1u);
  bool const nan = (bits & ~float_sign) > float_infinity;
  return static_cast<std::uint16_t>((nan ? bits | 0x00400000u : nearest) >> 16);
}

}  // namespace detail

/// IEEE 754 binary16: 11 significant bits, up to 65,504; beyond 65,520 it is infinite.
///
/// Stored only: it converts to float by itself and from a number by name, and has no arithmetic of its own.
class half {
 public:
  half() = default;
  template <std::floating_point F>
  constexpr explicit half(F x) : bits(detail::half_of_float(detail::rounded_to_odd(x))) {}
  [[nodiscard]] static constexpr half from_bits(std::uint16_t bits) {
    half out;
    out.bits = bits;
    return out;
  }
  constexpr operator float() const {  // NOLINT(google-explicit-constructor): nothing is lost
    return detail::float_of_half(bits);
  }

  std::uint16_t bits = 0;
};

/// The upper half of a float: 8 significant bits, and float's range.
///
/// Stored only, as `half` is.
class bfloat16 {
 public:
  bfloat16() = default;
  template <std::floating_point F>
  constexpr explicit bfloat16(F x) : bits(detail::bfloat16_of_float(detail::rounded_to_odd(x))) {}
  [[nodiscard]] static constexpr bfloat16 from_bits(std::uint16_t bits) {
    bfloat16 out;
    out.bits = bits;
    return out;
  }
  constexpr operator float() const {  // NOLINT(google-explicit-constructor): nothing is lost
    return detail::float_of_bfloat16(bits);
  }

  std::uint16_t bits = 0;
};

}  // namespace prefer::inline v0_1
