// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <prefer/aggregation/step_mask.hpp>

#include "token_weights.hpp"

using namespace prefer;
using Catch::Matchers::Contains;

TEST_CASE("step_mask: the tokens of the step count 1, the others 0", "[aggregation][step]") {
  test::lengths_only const groups({{4, 3}, {2}});
  step_mask const mask({{1, 3}, {2, 3}, {0, 2}});
  CHECK(test::weights_of(mask, groups) == std::vector<double>{0, 1, 1, 0, 0, 0, 1, 1, 1});
}

TEST_CASE("step_mask: goes by the number of a completion, not by its place",
          "[aggregation][step]") {
  test::lengths_only groups({{2, 2}});
  groups.data.completion = {1, 0};
  step_mask const mask({{0, 1}, {1, 2}});
  CHECK(test::weights_of(mask, groups) == std::vector<double>{0, 1, 1, 0});
}

TEST_CASE("step_mask: a completion without a step is refused, and a step beyond its tokens",
          "[aggregation][step]") {
  test::lengths_only const groups({{4, 3}});
  CHECK_THROWS_WITH(test::weights_of(step_mask({{0, 1}}), groups),
                    Contains("step_mask: completion 1 has no step, 1 completions have one"));
  CHECK_THROWS_WITH(test::weights_of(step_mask({{0, 1}, {1, 4}}), groups),
                    Contains("step_mask: the step of completion 1 is [1, 4) of 3 tokens"));
  CHECK_THROWS_WITH(step_mask({{3, 1}, {1, 3}}),
                    Contains("step_mask: of completion 0 no token counts: its step is [3, 1)"));
  CHECK_THROWS_WITH(step_mask({{0, 1}, {1, 1}}),
                    Contains("step_mask: of completion 1 no token counts: its step is [1, 1)"));
}
