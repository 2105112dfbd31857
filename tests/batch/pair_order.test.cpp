// SPDX-License-Identifier: MIT
#include <algorithm>
#include <bit>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include <prefer/batch/pair_order.hpp>

namespace {

using prefer::ascending_order;
using prefer::match_by_rank;
using rows = std::vector<std::uint32_t>;

rows order_of(std::vector<double> const& x) {
  return ascending_order(x.size(), [&](std::size_t i) { return x[i]; });
}

// Insertion: each number goes behind the last one that is not greater.
rows by_insertion(std::vector<double> const& x) {
  rows out;
  for (std::uint32_t i = 0; i < x.size(); ++i) {
    auto at = out.end();
    while (at != out.begin() && x[i] < x[*(at - 1)]) --at;
    out.insert(at, i);
  }
  return out;
}

TEST_CASE(
    "ascending_order: all arrays of three values up to a length of eight, ties in their order",
    "[batch][pair_order]") {
  std::size_t wrong = 0;
  for (std::size_t n = 0; n <= 8; ++n) {
    auto const count = static_cast<std::size_t>(std::pow(3.0, static_cast<double>(n)) + 0.5);
    for (std::size_t code = 0; code < count; ++code) {
      std::vector<double> x;
      for (std::size_t i = 0, rest = code; i < n; ++i, rest /= 3) {
        x.push_back(static_cast<double>(rest % 3));
      }
      if (order_of(x) != by_insertion(x)) ++wrong;
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("ascending_order: longer arrays agree with the library's stable sort",
          "[batch][pair_order]") {
  for (std::size_t const n : {9u, 16u, 17u, 31u, 32u, 33u, 100u, 1000u, 4095u, 4096u, 10000u}) {
    CAPTURE(n);
    std::vector<double> x;
    for (std::size_t i = 0; i < n; ++i) x.push_back(static_cast<double>(i * i * 31 % 97) - 40.0);
    rows expected(n);
    std::iota(expected.begin(), expected.end(), 0u);
    std::stable_sort(expected.begin(), expected.end(),
                     [&](std::uint32_t a, std::uint32_t b) { return x[a] < x[b]; });
    CHECK(order_of(x) == expected);
  }
}

TEST_CASE("ascending_order: numbers that differ in any bits, from few at the end to all of them",
          "[batch][pair_order]") {
  std::mt19937_64 random(7);
  for (std::size_t const n : {5u, 64u, 65u, 1000u, 5000u}) {
    for (unsigned const bits : {1u, 12u, 30u, 51u, 52u, 63u, 64u}) {
      CAPTURE(n, bits);
      std::vector<double> x;
      while (x.size() < n) {
        auto const differing = random() >> (64 - bits);
        auto const number = std::bit_cast<double>(std::bit_cast<std::uint64_t>(1.0) ^ differing);
        if (!std::isnan(number)) x.push_back(number);
      }
      rows expected(n);
      std::iota(expected.begin(), expected.end(), 0u);
      std::stable_sort(expected.begin(), expected.end(),
                       [&](std::uint32_t a, std::uint32_t b) { return x[a] < x[b]; });
      CHECK(order_of(x) == expected);
    }
  }
}

TEST_CASE("ascending_order: infinities are ordered, and both zeros are equal",
          "[batch][pair_order]") {
  double const infinity = std::numeric_limits<double>::infinity();
  CHECK(order_of({infinity, 0.0, -infinity, -0.0, 1.0}) == rows{2, 1, 3, 4, 0});
}

TEST_CASE("ascending_order: NaN of either sign come last, and all rows keep their order",
          "[batch][pair_order]") {
  double const nan = std::nan("");
  CHECK(order_of({nan, nan, nan}) == rows{0, 1, 2});
  std::size_t wrong = 0;
  for (std::size_t code = 0; code < 4096; ++code) {  // NaN, -NaN, 0, 1 at six places
    std::vector<double> x, as_last;
    for (std::size_t i = 0, rest = code; i < 6; ++i, rest /= 4) {
      double const values[] = {0.0, 1.0, nan, -nan};
      x.push_back(values[rest % 4]);
      as_last.push_back(rest % 4 < 2 ? values[rest % 4] : 2.0);
    }
    if (order_of(x) != by_insertion(as_last)) ++wrong;
  }
  CHECK(wrong == 0);
}

TEST_CASE("ascending_order: every byte of a double counts, in long arrays as in short ones",
          "[batch][pair_order]") {
  // Powers of two apart from exponent to last place, of both signs: neighbours differ in one bit somewhere.
  std::vector<double> x;
  for (int bit = 0; bit < 52; ++bit) {
    for (double const sign : {1.0, -1.0}) x.push_back(sign * (1.0 + std::ldexp(1.0, -bit - 1)));
  }
  for (int exponent = -1074; exponent < 1024; exponent += 7) {
    for (double const sign : {-1.0, 1.0}) x.push_back(sign * std::ldexp(1.0, exponent));
  }
  x.insert(x.end(), {-0.0, 0.0, std::nan(""), std::numeric_limits<double>::infinity()});
  for (std::size_t const n : {60u, 64u, 65u, 400u, 5000u}) {
    CAPTURE(n);
    std::vector<double> some;
    for (std::size_t i = 0; i < n; ++i) some.push_back(x[i * 31 % x.size()]);
    rows expected(n);
    std::iota(expected.begin(), expected.end(), 0u);
    std::stable_sort(expected.begin(), expected.end(), [&](std::uint32_t a, std::uint32_t b) {
      return some[a] < some[b] || (std::isnan(some[b]) && !std::isnan(some[a]));
    });
    CHECK(order_of(some) == expected);
  }
}

TEST_CASE("match_by_rank: the row of rank k goes with the other side's row of rank k",
          "[batch][pair_order]") {
  // Ranks of a: 2, 0, 1; of b: 1, 2, 0.
  auto const a = order_of({9.0, 1.0, 5.0});
  auto const b = order_of({0.5, 0.75, 0.25});
  CHECK(match_by_rank(a, b) == rows{1, 2, 0});
  CHECK(match_by_rank(a, a) == rows{0, 1, 2});
  CHECK(match_by_rank(rows{}, rows{}).empty());
}

TEST_CASE("match_by_rank: sides of different size are refused with both numbers",
          "[batch][pair_order]") {
  CHECK_THROWS_WITH(match_by_rank(rows{0, 1}, rows{0}),
                    "match_by_rank: order_b has 1 elements, expected 2");
}

}  // namespace
