// SPDX-License-Identifier: MIT
#include <limits>

#include <catch2/catch.hpp>
#include <prefer/report/series.hpp>

namespace report = prefer::report;

TEST_CASE("series: a point without a place breaks the line in two runs", "[report][series]") {
  double const missing = std::numeric_limits<double>::quiet_NaN();
  report::series const line{.points = {{.x = missing, .y = 0},
                                       {.x = 1, .y = 10},
                                       {.x = 2, .y = 20},
                                       {.x = 3, .y = missing},
                                       {.x = missing, .y = missing},
                                       {.x = 4, .y = 40}}};
  auto const found = report::runs(line);
  REQUIRE(found.size() == 2);
  REQUIRE(found[0].size() == 2);
  CHECK(found[0][0].x == 1);
  CHECK(found[0][1].x == 2);
  REQUIRE(found[1].size() == 1);
  CHECK(found[1][0].y == 40);
  CHECK(report::runs({.points = {{.x = missing, .y = 1}}}).empty());
}

TEST_CASE("series: the legend says what has no place", "[report][series]") {
  CHECK(report::legend_name("dpo", true) == "dpo");
  CHECK(report::legend_name("dpo", false) == "dpo (not finite)");
}
