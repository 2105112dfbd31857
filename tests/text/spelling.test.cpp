// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <prefer/text/spelling.hpp>

using prefer::text::edit_distance;
using prefer::text::misspells;

TEST_CASE("edit_distance: counts insertions, deletions, replacements and swaps", "[spelling]") {
  REQUIRE(edit_distance("weight", "weight", 9) == 0);
  REQUIRE(edit_distance("weigt", "weight", 9) == 1);
  REQUIRE(edit_distance("weightt", "weight", 9) == 1);
  REQUIRE(edit_distance("waight", "weight", 9) == 1);
  REQUIRE(edit_distance("wieght", "weight", 9) == 1);   // one swap, not two replacements
  REQUIRE(edit_distance("kitten", "sitting", 9) == 3);  // k-s, e-i, +g
  REQUIRE(edit_distance("", "abc", 9) == 3);
}

TEST_CASE("edit_distance: case does not count", "[spelling]") {
  REQUIRE(edit_distance("Weight", "WEIGHT", 9) == 0);
}

TEST_CASE("edit_distance: counting stops at the limit", "[spelling]") {
  REQUIRE(edit_distance("abc", "xyz", 2) == 3);
  REQUIRE(edit_distance("a", "abcdefgh", 2) == 3);
}

TEST_CASE("misspells: near misses with the same first letter", "[spelling]") {
  REQUIRE(misspells("rejectd", "rejected"));
  REQUIRE(misspells("Weight", "weight"));
  REQUIRE(misspells("score_choosen", "score_chosen"));
  REQUIRE(misspells("betas", "beta"));
}

TEST_CASE("misspells: fields that data sets really have are no slips", "[spelling]") {
  REQUIRE_FALSE(misspells("weight", "weight"));
  REQUIRE_FALSE(misspells("meta", "beta"));
  REQUIRE_FALSE(misspells("data", "beta"));
  REQUIRE_FALSE(misspells("height", "weight"));
  REQUIRE_FALSE(misspells("selected", "rejected"));
  REQUIRE_FALSE(misspells("prompt_id", "prompt"));
  REQUIRE_FALSE(misspells("", "prompt"));
}
