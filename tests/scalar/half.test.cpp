// SPDX-License-Identifier: MIT
#include <bit>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include <prefer/scalar/half.hpp>

#include "support/near.hpp"

namespace {

using prefer::bfloat16;
using prefer::half;
using prefer::test::same_bits;

constexpr float inf = std::numeric_limits<float>::infinity();

/// What the bits of a format mean, by its definition: sign, exponent, and `digits` bits after the point.
double meaning(std::uint32_t bits, int digits, int bias) {
  std::uint32_t const fraction = bits & ((1u << digits) - 1u);
  int const exponent = static_cast<int>((bits & 0x7fffu) >> digits);
  double const sign = (bits & 0x8000u) != 0 ? -1.0 : 1.0;
  int const highest = (1 << (15 - digits)) - 1;
  if (exponent == highest) {
    return fraction != 0 ? std::numeric_limits<double>::quiet_NaN()
                         : sign * std::numeric_limits<double>::infinity();
  }
  double const significand = fraction + (exponent == 0 ? 0.0 : std::ldexp(1.0, digits));
  return sign * std::ldexp(significand, (exponent == 0 ? 1 : exponent) - bias - digits);
}

template <class T>
struct format;
template <>
struct format<half> {
  static constexpr int digits = 10, bias = 15;
  static constexpr std::uint32_t infinity = 0x7c00;
};
template <>
struct format<bfloat16> {
  static constexpr int digits = 7, bias = 127;
  static constexpr std::uint32_t infinity = 0x7f80;
};

template <class T>
T from(std::uint32_t bits) {
  return T::from_bits(static_cast<std::uint16_t>(bits));
}

TEMPLATE_TEST_CASE("half: all 65,536 values are read as what their bits mean, and written back",
                   "[scalar][half]", half, bfloat16) {
  using T = TestType;
  STATIC_REQUIRE(sizeof(T) == 2);
  STATIC_REQUIRE(std::is_trivially_copyable_v<T>);
  std::size_t wrong = 0;
  for (std::uint32_t bits = 0; bits < 0x10000u; ++bits) {
    float const read = from<T>(bits);
    double const means = meaning(bits, format<T>::digits, format<T>::bias);
    if (std::isnan(means)) {
      // NaN stays NaN with its sign and payload, made quiet.
      std::uint32_t const quiet = bits | (1u << (format<T>::digits - 1));
      wrong += !std::isnan(read) || T(read).bits != quiet;
    } else {
      wrong += !same_bits(read, static_cast<float>(means)) || T(read).bits != bits ||
               T(means).bits != bits;
    }
  }
  CHECK(wrong == 0);
}

TEMPLATE_TEST_CASE("half: numbers in between go to the nearest, of two as near to the even one",
                   "[scalar][half]", half, bfloat16) {
  using T = TestType;
  // The largest number's neighbour is where the next would be; from the middle on it is infinity.
  double const beyond = std::ldexp(1.0, format<T>::bias + 1);
  std::size_t wrong = 0;
  for (std::uint32_t bits = 0; bits < format<T>::infinity; ++bits) {
    double const low = meaning(bits, format<T>::digits, format<T>::bias);
    double const high = bits + 1 == format<T>::infinity
                            ? beyond
                            : meaning(bits + 1, format<T>::digits, format<T>::bias);
    double const middle = (low + high) / 2;
    std::uint32_t const even = bits % 2 == 0 ? bits : bits + 1;
    for (std::uint32_t const sign : {0u, 0x8000u}) {
      double const s = sign != 0 ? -1.0 : 1.0;
      wrong += T(s * middle).bits != (even | sign);
      // A double next to the middle, which as a float is the middle: rounding twice would give the even one.
      wrong += T(s * std::nextafter(middle, 0.0)).bits != (bits | sign);
      wrong += T(s * std::nextafter(middle, beyond)).bits != ((bits + 1) | sign);
      // The middle of bfloat16's subnormals is a float, too.
      float const tie = static_cast<float>(s * middle);
      wrong += T(tie).bits != (even | sign);
      wrong += T(std::nextafter(tie, 0.0f)).bits != (bits | sign);
      wrong += T(std::nextafter(tie, static_cast<float>(s) * inf)).bits != ((bits + 1) | sign);
    }
  }
  CHECK(wrong == 0);
  CHECK(static_cast<float>(T(inf)) == inf);
  CHECK(static_cast<float>(T(-1e300)) == -inf);
  CHECK(T(-0.0).bits == 0x8000u);
  CHECK(std::isnan(static_cast<float>(T(std::numeric_limits<double>::quiet_NaN()))));
}

TEST_CASE("half: numbers of another implementation", "[scalar][half]") {
  // Python 3.11: struct.unpack('<H', struct.pack('<e', x))
  struct {
    double number;
    std::uint32_t bits;
  } const known[] = {{0.1, 0x2e66},
                     {-1.0 / 3.0, 0xb555},
                     {3.14159265358979, 0x4248},
                     {65504.0, 0x7bff},
                     {65519.999, 0x7bff},
                     {0x1p-24, 0x0001},
                     {0x1p-25, 0x0000},
                     {0x1.8p-25, 0x0001},
                     {6.1e-5, 0x03ff},
                     {1234.5678, 0x64d3},
                     {1e-8, 0x0000},
                     {1.0 + 0x1p-11, 0x3c00},
                     {1.0 + 0x1p-11 + 0x1p-40, 0x3c01},
                     {1.0 + 0x1.8p-10, 0x3c02}};
  for (auto const& each : known) {
    CAPTURE(each.number);
    CHECK(half(each.number).bits == each.bits);
  }
}

#if defined(__FLT16_MANT_DIG__)
TEST_CASE("half: every 251st float is what the compiler's own type gives", "[scalar][half]") {
  std::size_t wrong = 0;
  for (std::uint64_t bits = 0; bits < 0x1'0000'0000ull; bits += 251) {
    float const x = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    if (std::isnan(x)) continue;
    wrong += half(x).bits != std::bit_cast<std::uint16_t>(static_cast<_Float16>(x));
  }
  CHECK(wrong == 0);
}
#endif

TEST_CASE("half: conversions are constant expressions", "[scalar][half]") {
  STATIC_REQUIRE(half(1.0f).bits == 0x3c00u);
  STATIC_REQUIRE(half(1.0 / 3.0).bits == 0x3555u);
  STATIC_REQUIRE(bfloat16(1.0f).bits == 0x3f80u);
  STATIC_REQUIRE(static_cast<float>(half::from_bits(0x0001u)) == 0x1p-24f);
  STATIC_REQUIRE(!std::is_convertible_v<float, half>);  // digits are lost by name only
  STATIC_REQUIRE(std::is_convertible_v<half, float>);
}

}  // namespace
