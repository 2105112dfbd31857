// SPDX-License-Identifier: MIT
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
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
  for (std::size_t const n : {9u, 16u, 17u, 31u, 32u, 33u, 100u, 1000u, 1025u}) {
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

TEST_CASE("ascending_order: infinities are ordered, and both zeros are equal",
          "[batch][pair_order]") {
  double const infinity = std::numeric_limits<double>::infinity();
  CHECK(order_of({infinity, 0.0, -infinity, -0.0, 1.0}) == rows{2, 1, 3, 4, 0});
}

TEST_CASE("ascending_order: with NaN every row still comes once, and NaN alone keep their order",
          "[batch][pair_order]") {
  double const nan = std::nan("");
  CHECK(order_of({nan, nan, nan}) == rows{0, 1, 2});
  std::size_t wrong = 0;
  for (std::size_t code = 0; code < 4096; ++code) {  // NaN, 0, 1, 2 at six places
    std::vector<double> x;
    for (std::size_t i = 0, rest = code; i < 6; ++i, rest /= 4) {
      x.push_back(rest % 4 == 3 ? nan : static_cast<double>(rest % 4));
    }
    rows order = order_of(x);
    if (order != order_of(x)) ++wrong;
    std::sort(order.begin(), order.end());
    if (order != rows{0, 1, 2, 3, 4, 5}) ++wrong;
  }
  CHECK(wrong == 0);
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
