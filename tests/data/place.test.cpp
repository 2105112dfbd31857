// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <prefer/data/place.hpp>

#include "error_of.hpp"

using prefer::data::in_quotes;
using prefer::data::place;

TEST_CASE("place: an error names reader, source and line", "[data][place]") {
  REQUIRE(error_of([] {
            place{"data::pairs", "a.jsonl", 17}.refuse("why");
          }) == "data::pairs: a.jsonl:17: why");
}

TEST_CASE("place: line 0 is the source as a whole", "[data][place]") {
  REQUIRE(error_of([] {
            place{"data::pairs", "a.jsonl", 0}.refuse("why");
          }) == "data::pairs: a.jsonl: why");
}

TEST_CASE("place: the error carries source and line", "[data][place]") {
  try {
    place{"data::pairs", "a.jsonl", 17}.refuse("why");
  } catch (prefer::backend_error const& error) {
    REQUIRE(error.place() == "a.jsonl:17");
  }
}

TEST_CASE("in_quotes: control characters do not reach the message", "[data][place]") {
  REQUIRE(in_quotes("a\nb\x7F") == "\"a?b?\"");
  REQUIRE(in_quotes("a\tb") == "\"a\\tb\"");
}

TEST_CASE("in_quotes: a long piece is cut between code points", "[data][place]") {
  REQUIRE(in_quotes("abcdef", 4) == "\"abcd...\"");
  REQUIRE(in_quotes("abc\xC3\xA9"
                    "f",
                    4) == "\"abc...\"");  // the fourth byte is half of e acute
  REQUIRE(in_quotes("abcd", 4) == "\"abcd\"");
}
