// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <prefer/aggregation/aggregation.hpp>
#include <prefer/aggregation/ld_dpo_weights.hpp>
#include <prefer/aggregation/mean_tokens.hpp>
#include <prefer/aggregation/sampled_tokens.hpp>
#include <prefer/aggregation/step_mask.hpp>
#include <prefer/aggregation/sum_tokens.hpp>

#include "token_weights.hpp"

using namespace prefer;
using Catch::Matchers::Contains;

namespace {

/// Exactly what Aggregation asks for, of a batch that has nothing to offer.
struct any_batch {};
struct aggregation_archetype {
  aggregation_archetype() = default;
  aggregation_archetype(aggregation_archetype const&) = delete;
  void weights(any_batch const&, std::span<std::size_t const>, std::span<double>) const {}
};
struct changing {
  void weights(any_batch const&, std::span<std::size_t const>, std::span<double>) {}
};
struct weightless {};

}  // namespace

TEST_CASE("Aggregation: asks for weights that can be had from a constant", "[aggregation]") {
  STATIC_REQUIRE(Aggregation<aggregation_archetype, any_batch>);
  STATIC_REQUIRE_FALSE(Aggregation<changing, any_batch>);
  STATIC_REQUIRE_FALSE(Aggregation<weightless, any_batch>);
  STATIC_REQUIRE_FALSE(Aggregation<aggregation_archetype, choice_batch>);
}

TEST_CASE("Aggregation: only SamPO draws", "[aggregation]") {
  STATIC_REQUIRE(detail::draws_tokens<sampled_tokens>);
  STATIC_REQUIRE_FALSE(detail::draws_tokens<sum_tokens>);
  STATIC_REQUIRE_FALSE(detail::draws_tokens<mean_tokens>);
  STATIC_REQUIRE_FALSE(detail::draws_tokens<ld_dpo_weights>);
  STATIC_REQUIRE_FALSE(detail::draws_tokens<step_mask>);
}

TEMPLATE_TEST_CASE("Aggregation: a column of another size is refused by name", "[aggregation]",
                   sum_tokens, mean_tokens, ld_dpo_weights, sampled_tokens) {
  test::lengths_only const pair({{2, 3}});
  std::vector<double> four(4);
  CHECK_THROWS_WITH(TestType{}.weights(pair.batch(), pair.token_offset, four),
                    Contains("the column of weights has 4 elements, expected 5"));
  std::vector<std::size_t> const short_offset = {0, 4};
  CHECK_THROWS_WITH(TestType{}.weights(pair.batch(), short_offset, four),
                    Contains("token_offset has 2 elements, expected 3"));
}

TEMPLATE_TEST_CASE("Aggregation: what pairs share is not asked of other groups", "[aggregation]",
                   ld_dpo_weights, sampled_tokens) {
  CHECK_THROWS_WITH(test::weights_of(TestType{}, test::lengths_only({{2, 3}, {4}})),
                    Contains("group 1 has 1 completions, expected 2"));
  CHECK_THROWS_WITH(test::weights_of(TestType{}, test::lengths_only({{2, 3, 4}})),
                    Contains("group 0 has 3 completions, expected 2"));
}
