// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <prefer/aggregation/sum_tokens.hpp>

#include "token_weights.hpp"

using namespace prefer;

TEST_CASE("sum_tokens: every token counts 1", "[aggregation]") {
  test::lengths_only const groups({{2, 3}, {1}});
  CHECK(test::weights_of(sum_tokens{}, groups) == std::vector<double>(6, 1.0));
}
