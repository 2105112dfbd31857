// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <prefer/loss/bradley_terry.hpp>
#include <prefer/loss/compose.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/meaning.hpp>
#include <prefer/loss/odpo.hpp>
#include <prefer/loss/r_dpo.hpp>
#include <prefer/loss/rebel.hpp>
#include <prefer/loss/simpo.hpp>
#include <prefer/loss/sppo.hpp>
#include <prefer/loss/wpo.hpp>

using prefer::meaning_of;
using prefer::score_kind;

TEST_CASE("meaning_of: a loss says what it takes scores for", "[loss][meaning]") {
  STATIC_REQUIRE(meaning_of<prefer::dpo>.score == score_kind::none);
  STATIC_REQUIRE(meaning_of<prefer::rebel>.score == score_kind::reward);
  STATIC_REQUIRE(meaning_of<prefer::odpo>.score == score_kind::ordered_reward);
  STATIC_REQUIRE(meaning_of<prefer::sppo_soft>.score == score_kind::win_probability);
  STATIC_REQUIRE(meaning_of<prefer::bradley_terry>.policy_is_score);
  STATIC_REQUIRE_FALSE(meaning_of<prefer::dpo>.policy_is_score);
}

TEST_CASE("meaning_of: a composed loss means what its parts mean together", "[loss][meaning]") {
  using both = decltype(prefer::rebel{} + 0.5 * prefer::odpo{});
  STATIC_REQUIRE(meaning_of<both>.score == score_kind::ordered_reward);
  STATIC_REQUIRE(meaning_of<prefer::wpo<prefer::dpo>>.score == score_kind::none);
  STATIC_REQUIRE(meaning_of<decltype(2.0 * prefer::bradley_terry{})>.policy_is_score);
  // One term that takes log-probabilities asks for them.
  using mixed = decltype(prefer::bradley_terry{} + prefer::dpo{});
  STATIC_REQUIRE_FALSE(meaning_of<mixed>.policy_is_score);
}

TEST_CASE("meaning_of: lengths divide, but where they are compared", "[loss][meaning]") {
  STATIC_REQUIRE(meaning_of<prefer::simpo>.divides_by_length);
  STATIC_REQUIRE_FALSE(meaning_of<prefer::dpo>.divides_by_length);  // it reads none
  STATIC_REQUIRE_FALSE(meaning_of<prefer::r_dpo>.divides_by_length);
  STATIC_REQUIRE_FALSE(meaning_of<decltype(prefer::dpo{} + prefer::r_dpo{})>.divides_by_length);
  STATIC_REQUIRE(meaning_of<decltype(prefer::simpo{} + prefer::r_dpo{})>.divides_by_length);
}
