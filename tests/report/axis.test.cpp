// SPDX-License-Identifier: MIT
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <prefer/report/axis.hpp>

namespace report = prefer::report;

TEST_CASE("axis: a mapping takes equal steps to equal lengths, and equal factors on a logarithm",
          "[report][axis]") {
  report::axis_mapping const linear{.low = -1, .high = 3, .from = 100, .to = 500};
  CHECK(linear(-1) == 100);
  CHECK(linear(0) == 200);
  CHECK(linear(3) == 500);
  report::axis_mapping const log{
      .scale = report::scale::log, .low = 0.01, .high = 100, .from = 0, .to = 400};
  CHECK(log(0.1) == Approx(100));
  CHECK(log(1) == Approx(200));
  CHECK(log(10) == Approx(300));
}

TEST_CASE("axis: a value far outside lands a thousand lengths away at most", "[report][axis]") {
  report::axis_mapping const axis{.low = 0, .high = 1, .from = 10, .to = 20};
  CHECK(axis(1e200) == 10 + 1000 * 10.0);
  CHECK(axis(-1e200) == 10 - 1000 * 10.0);
  CHECK(axis.holds(0));
  CHECK(axis.holds(1));
  CHECK_FALSE(axis.holds(1.001));
  CHECK_FALSE(axis.holds(-0.001));
}

TEST_CASE("axis: a fitted range has 4% of air where no limit is given", "[report][axis]") {
  auto const free = report::fitted({}, {.low = 10, .high = 20});
  CHECK(free.low == Approx(9.6));
  CHECK(free.high == Approx(20.4));
  auto const held = report::fitted({.min = 12.0}, {.low = 10, .high = 20});
  CHECK(held.low == 12);
  CHECK(held.high == Approx(20 + 0.04 * 8));
  auto const log = report::fitted({.scale = report::scale::log}, {.low = 1, .high = 100});
  CHECK(std::log(log.low) == Approx(-0.04 * std::log(100.0)));
  CHECK(std::log(log.high) == Approx(1.04 * std::log(100.0)));
}

TEST_CASE("axis: a range without extent gets some, and ticks that were asked for are in it",
          "[report][axis]") {
  auto const point = report::fitted({}, {.low = 4, .high = 4});
  CHECK(point.low == Approx(3.8));
  CHECK(point.high == Approx(4.2));
  auto const nothing = report::fitted({}, {});
  CHECK(nothing.low < 0);
  CHECK(nothing.high > 1);
  auto const ticks = report::fitted({.ticks = {-3, 7}}, {.low = 0, .high = 1});
  CHECK(ticks.low < -3);
  CHECK(ticks.high > 7);
}

TEST_CASE("axis: two ends are apart when ticks fit between them", "[report][axis]") {
  CHECK(report::apart(report::scale::linear, 0, 1));
  CHECK_FALSE(report::apart(report::scale::linear, 1, 1));
  CHECK_FALSE(report::apart(report::scale::linear, 1e9, 1e9 + 1e-6));
  CHECK(report::apart(report::scale::log, 1e-200, 1e-199));
  CHECK_FALSE(report::apart(report::scale::log, 5, 5 * (1 + 1e-12)));
}

TEST_CASE("axis: ticks are those asked for, as far as they are in sight", "[report][axis]") {
  report::axis const asked{.ticks = {0.5, 1, 20}};
  report::axis_mapping const range{.low = 0, .high = 2};
  auto const ticks = report::ticks_of(asked, range, 5);
  CHECK(ticks.values == std::vector<double>{0.5, 1});
  CHECK(ticks.labels == std::vector<std::string>{"0.5", "1"});
  CHECK(ticks.minor.empty());
  auto const free = report::ticks_of({}, range, 3);
  CHECK(free.values == std::vector<double>{0, 1, 2});
}

TEST_CASE("axis: what is not finite, or too large for arithmetic on ranges, has no place",
          "[report][axis]") {
  CHECK(report::drawable(1e300));
  CHECK_FALSE(report::drawable(2e300));
  CHECK_FALSE(report::drawable(std::numeric_limits<double>::infinity()));
  CHECK_FALSE(report::drawable(std::numeric_limits<double>::quiet_NaN()));
}
