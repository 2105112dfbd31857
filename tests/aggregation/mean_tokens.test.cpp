// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <prefer/aggregation/mean_tokens.hpp>

#include "token_weights.hpp"

using namespace prefer;

TEST_CASE("mean_tokens: the tokens of a completion share a weight of 1", "[aggregation]") {
  test::lengths_only const groups({{2, 4}, {1}});
  CHECK(test::weights_of(mean_tokens{}, groups) ==
        std::vector<double>{0.5, 0.5, 0.25, 0.25, 0.25, 0.25, 1});
}
