// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdint>
#include <vector>

#include <prefer/data/comparisons.hpp>
#include <prefer/random/distributions.hpp>
#include <prefer/random/philox.hpp>

namespace data = prefer::data;

namespace {

using items = std::vector<std::uint32_t>;
using compared = std::vector<data::comparison>;

}  // namespace

TEST_CASE("comparisons: a chain puts its beginning over its end", "[data][comparisons]") {
  compared const chain = {{0, 1}, {1, 2}, {2, 3}, {3, 4}, {0, 1}};
  data::preference_order order(chain);
  CHECK(order.over(0).empty());
  CHECK(order.over(1) == items{0});
  CHECK(order.over(4) == items{0, 1, 2, 3});
  CHECK(order.over(9).empty());  // never compared
  for (auto const& each : chain) CHECK_FALSE(order.contradicts(each));
}

TEST_CASE("comparisons: branches meet, and what is not compared is not over",
          "[data][comparisons]") {
  data::preference_order order(compared{{5, 7}, {6, 7}, {7, 8}, {5, 9}});
  CHECK(order.over(8) == items{5, 6, 7});
  CHECK(order.over(9) == items{5});
}

TEST_CASE("comparisons: on a cycle all are over each other, and what hangs on it is not",
          "[data][comparisons]") {
  compared const two = {{0, 1}, {1, 0}, {1, 2}};
  data::preference_order order(two);
  CHECK(order.over(0) == items{0, 1});
  CHECK(order.over(1) == items{0, 1});
  CHECK(order.over(2) == items{0, 1});
  CHECK(order.contradicts(two[0]));
  CHECK(order.contradicts(two[1]));
  CHECK_FALSE(order.contradicts(two[2]));

  compared const three = {{3, 4}, {4, 5}, {5, 3}, {9, 3}};
  data::preference_order longer(three);
  CHECK(longer.over(4) == items{3, 4, 5, 9});
  CHECK(longer.contradicts(three[2]));
  CHECK_FALSE(longer.contradicts(three[3]));
}

TEST_CASE("comparisons: a chain of a hundred thousand does not end the stack",
          "[data][comparisons]") {
  compared chain;
  for (std::uint32_t i = 0; i < 100000; ++i) chain.push_back({i, i + 1});
  data::preference_order order(chain);
  CHECK(order.over(100000).size() == 100000);
  CHECK_FALSE(order.contradicts(chain.front()));
  chain.push_back({100000, 0});
  CHECK(data::preference_order(chain).contradicts(chain.front()));
}

TEST_CASE("comparisons: random ones agree with the closure of the relation",
          "[data][comparisons]") {
  for (std::uint64_t round = 0; round < 100; ++round) {
    prefer::random_stream draw(
        {.seed = 3, .purpose = prefer::random_purpose::user, .index = round});
    constexpr std::uint32_t n = 9;
    compared given;
    bool over[n][n] = {};
    for (std::uint64_t k = 0; k < 3 + round % 10; ++k) {
      auto const a = static_cast<std::uint32_t>(prefer::below(draw, n));
      auto const b = static_cast<std::uint32_t>(prefer::below(draw, n));
      if (a == b) continue;
      given.push_back({a, b});
      over[a][b] = true;
    }
    for (std::uint32_t k = 0; k < n; ++k) {  // Warshall's closure
      for (std::uint32_t i = 0; i < n; ++i) {
        for (std::uint32_t j = 0; j < n; ++j) over[i][j] |= over[i][k] && over[k][j];
      }
    }
    INFO("round " << round);
    data::preference_order order(given);
    for (std::uint32_t b = 0; b < n; ++b) {
      items expected;
      for (std::uint32_t a = 0; a < n; ++a) {
        if (over[a][b]) expected.push_back(a);
      }
      CHECK(order.over(b) == expected);
    }
    for (auto const& each : given) {
      CHECK(order.contradicts(each) == over[each.rejected][each.chosen]);
    }
  }
}
