// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <prefer/random/order.hpp>
#include <vector>

#include "numbers_of.hpp"

TEST_CASE("permutation: every number once, another order every epoch", "[random]") {
  auto const first = prefer::permutation(1000, 7, 0);
  CHECK(first == prefer::permutation(1000, 7, 0));
  CHECK(first != prefer::permutation(1000, 7, 1));
  CHECK(first != prefer::permutation(1000, 8, 0));
  auto sorted = first;
  std::sort(sorted.begin(), sorted.end());
  CHECK(first != sorted);
  for (std::uint32_t i = 0; i != 1000; ++i) REQUIRE(sorted[i] == i);
  CHECK(prefer::permutation(0, 7, 0).empty());
  CHECK(prefer::permutation(1, 7, 0) == std::vector<std::uint32_t>{0});
  CHECK_THROWS_AS(prefer::permutation(4, 7, std::uint64_t{1} << 32), prefer::precondition_error);
}

TEST_CASE("permutation: all 24 orders of four are equally likely", "[random]") {
  constexpr int draws = 24000;
  std::map<std::vector<std::uint32_t>, double> counts;
  for (std::uint64_t epoch = 0; epoch != draws; ++epoch) ++counts[prefer::permutation(4, 9, epoch)];
  REQUIRE(counts.size() == 24);
  std::vector<double> each;
  for (auto const& [order, count] : counts) each.push_back(count);
  CHECK(plausible(each, draws / 24.0));
}

TEST_CASE("sample_without_replacement: all 20 ordered pairs of five are equally likely",
          "[random]") {
  constexpr int draws = 20000;
  std::map<std::vector<std::uint64_t>, double> counts;
  for (std::uint64_t i = 0; i != draws; ++i) {
    auto numbers = stream(16, 0, i);
    ++counts[prefer::sample_without_replacement(5, 2, numbers)];
  }
  REQUIRE(counts.size() == 20);
  std::vector<double> each;
  for (auto const& [pair, count] : counts) {
    CHECK(pair[0] != pair[1]);
    each.push_back(count);
  }
  CHECK(plausible(each, draws / 20.0));
}

TEST_CASE("sample_without_replacement: distinct, in range, from nothing to everything",
          "[random]") {
  auto numbers = stream(17);
  for (auto const& [n, count] : {std::pair<std::uint64_t, std::size_t>{100, 100},
                                 {1000, 1},
                                 {5, 0},
                                 {std::uint64_t{1} << 60, 500},
                                 {~std::uint64_t{0}, 50}}) {
    auto sample = prefer::sample_without_replacement(n, count, numbers);
    REQUIRE(sample.size() == count);
    std::sort(sample.begin(), sample.end());
    CHECK(std::adjacent_find(sample.begin(), sample.end()) == sample.end());
    CHECK((sample.empty() || sample.back() < n));
  }
  CHECK_THROWS_AS(prefer::sample_without_replacement(3, 4, numbers), prefer::precondition_error);
}
