// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <prefer/aggregation/ld_dpo_weights.hpp>

#include "token_weights.hpp"

using namespace prefer;

TEST_CASE("ld_dpo_weights: tokens beyond the shorter completion count alpha", "[aggregation][ld]") {
  test::lengths_only const pairs({{2, 4}, {3, 1}, {2, 2}});
  CHECK(test::weights_of(ld_dpo_weights{.alpha = 0.25}, pairs) ==
        std::vector<double>{1, 1, 1, 1, 0.25, 0.25, 1, 0.25, 0.25, 1, 1, 1, 1, 1});
  CHECK(test::weights_of(ld_dpo_weights{.alpha = 1.0}, pairs) == std::vector<double>(14, 1.0));
}

TEST_CASE("ld_dpo_weights: a weight needs no more than the two lengths", "[aggregation][ld]") {
  constexpr ld_dpo_weights half{.alpha = 0.5};
  STATIC_REQUIRE(half.weight(0, 3, 5) == 1);
  STATIC_REQUIRE(half.weight(2, 3, 5) == 1);
  STATIC_REQUIRE(half.weight(3, 3, 5) == 0.5);
  STATIC_REQUIRE(half.weight(3, 5, 3) == 0.5);
  STATIC_REQUIRE(ld_dpo_weights{.alpha = 0.0}.weight(4, 5, 4) == 0);
}

TEST_CASE("ld_dpo_weights: alpha is from 0 to 1", "[aggregation][ld]") {
  test::lengths_only const pairs({{2, 4}});
  CHECK_THROWS_WITH(test::weights_of(ld_dpo_weights{.alpha = -0.1}, pairs),
                    "ld_dpo_weights: alpha is -0.1, expected at least 0 and at most 1");
  CHECK_THROWS_WITH(test::weights_of(ld_dpo_weights{.alpha = 1.1}, pairs),
                    Catch::Contains("alpha is 1.1, expected"));
}
