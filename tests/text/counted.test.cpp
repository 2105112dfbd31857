// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <prefer/text/counted.hpp>

using namespace prefer;

TEST_CASE("counted: numbers in groups of three, nouns in their number, shares in percent",
          "[text]") {
  CHECK(text::grouped(0) == "0");
  CHECK(text::grouped(999) == "999");
  CHECK(text::grouped(1000) == "1,000");
  CHECK(text::grouped(12345678) == "12,345,678");
  CHECK(text::counted(0, "row") == "0 rows");
  CHECK(text::counted(1, "row") == "1 row");
  CHECK(text::counted(1200, "row") == "1,200 rows");
  CHECK(text::percent(0.125) == "12.5 %");
  CHECK(text::percent(1, 3) == "33.3 %");
}
