// SPDX-License-Identifier: MIT
// Linking is most of the test: a function that is not inline exists twice and the program is not
// made.
#include "two_units.hpp"

#include <catch2/catch.hpp>
#include <prefer_everything.hpp>

TEST_CASE("two units: both include every header, link, and share what is inline",
          "[tree][two_units]") {
  REQUIRE(tree::version_in_the_second_unit() == reinterpret_cast<tree::address>(&prefer::version));
}
