// SPDX-License-Identifier: MIT
#include <cmath>
#include <cstdlib>
#include <limits>

#include <catch2/catch.hpp>
#include <prefer/text/number.hpp>

TEST_CASE("shortest: the text of a double reads back as the same double", "[text][number]") {
  double const third = 1.0 / 3.0;
  for (double const value :
       {0.1, third, 1e-300, 123456789.125, 5e-324, -0.0, 1.7976931348623157e308}) {
    CHECK(std::strtod(prefer::text::shortest(value).c_str(), nullptr) == value);
  }
  CHECK(prefer::text::shortest(0.1) == "0.1");
  CHECK(prefer::text::shortest(-2.5) == "-2.5");
}

TEST_CASE("shortest: a float is written with the digits of a float", "[text][number]") {
  CHECK(prefer::text::shortest(0.1F) == "0.1");  // as a double it is 0.10000000149011612
}

TEST_CASE("shortest, fixed: non-finite numbers have names", "[text][number]") {
  double const infinity = std::numeric_limits<double>::infinity();
  double const nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(prefer::text::shortest(nan) == "nan");
  CHECK(prefer::text::shortest(std::copysign(nan, -1.0)) == "nan");
  CHECK(prefer::text::shortest(infinity) == "inf");
  CHECK(prefer::text::shortest(-infinity) == "-inf");
  CHECK(prefer::text::fixed(nan, 3) == "nan");
  CHECK(prefer::text::fixed(-infinity, 3) == "-inf");
}

TEST_CASE("fixed: rounds to the digits asked for", "[text][number]") {
  CHECK(prefer::text::fixed(2.0 / 3.0, 3) == "0.667");
  CHECK(prefer::text::fixed(12.0, 2) == "12.00");
  CHECK(prefer::text::fixed(-1.25, 0) == "-1");
}

TEST_CASE("fixed: what rounds to zero has no sign", "[text][number]") {
  CHECK(prefer::text::fixed(-0.0004, 2) == "0.00");
  CHECK(prefer::text::fixed(-0.0, 1) == "0.0");
  CHECK(prefer::text::fixed(-0.05, 2) == "-0.05");
}

TEST_CASE("fixed: from 1e15 on the form is scientific", "[text][number]") {
  CHECK(prefer::text::fixed(1e15, 2) == "1.00e+15");
  CHECK(prefer::text::fixed(-2.5e300, 1) == "-2.5e+300");
  CHECK(prefer::text::fixed(999999999999999.0, 0) == "999999999999999");
}
