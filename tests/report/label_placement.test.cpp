// SPDX-License-Identifier: MIT
#include <vector>

#include <catch2/catch.hpp>
#include <prefer/report/label_placement.hpp>

namespace report = prefer::report;

TEST_CASE("overlap: the area that two boxes share", "[report][label_placement]") {
  report::box const a{.left = 0, .top = 0, .right = 4, .bottom = 3};
  CHECK(report::overlap(a, {.left = 2, .top = 1, .right = 9, .bottom = 9}) == 4.0);  // 2 by 2
  CHECK(report::overlap(a, {.left = 4, .top = 0, .right = 5, .bottom = 3}) == 0.0);  // they touch
  CHECK(report::overlap(a, {.left = 0, .top = 5, .right = 4, .bottom = 9}) == 0.0);
}

TEST_CASE("crosses: a segment through, inside, beside and short of a box",
          "[report][label_placement]") {
  report::box const b{.left = 0, .top = 0, .right = 10, .bottom = 10};
  CHECK(report::crosses({.x1 = -5, .y1 = 5, .x2 = 15, .y2 = 5}, b));
  CHECK(report::crosses({.x1 = 5, .y1 = -5, .x2 = 5, .y2 = 15}, b));
  CHECK(report::crosses({.x1 = 4, .y1 = 4, .x2 = 6, .y2 = 6}, b));
  CHECK(report::crosses({.x1 = -2, .y1 = 5, .x2 = 5, .y2 = 12}, b));  // cuts a corner
  CHECK_FALSE(
      report::crosses({.x1 = -8, .y1 = 5, .x2 = 5, .y2 = 18}, b));  // misses the same corner
  CHECK_FALSE(report::crosses({.x1 = -5, .y1 = 11, .x2 = 15, .y2 = 11}, b));
  CHECK_FALSE(report::crosses({.x1 = -5, .y1 = 5, .x2 = -1, .y2 = 5}, b));  // ends before it
}

TEST_CASE("label_placement: a lone label stands right of its point", "[report][label_placement]") {
  report::label_placement places({.left = 0, .top = 0, .right = 200, .bottom = 200});
  auto const [area, leader] = places.place(100, 100, 30, 10);
  CHECK(area.left > 100);
  CHECK(area.top == 95);  // centred on the point's height
  CHECK(area.bottom == 105);
  CHECK_FALSE(leader);
}

TEST_CASE("label_placement: a label near the edge stays inside", "[report][label_placement]") {
  report::label_placement places({.left = 0, .top = 0, .right = 200, .bottom = 200});
  auto const [area, leader] = places.place(195, 100, 30, 10);
  CHECK(area.right <= 200);
}

TEST_CASE("label_placement: labels of neighbouring points do not overlap",
          "[report][label_placement]") {
  report::label_placement places({.left = 0, .top = 0, .right = 200, .bottom = 200});
  std::vector<report::box> areas;
  for (double const x : {100.0, 104.0, 108.0, 112.0}) {
    places.avoid(report::box{.left = x - 5, .top = 95, .right = x + 5, .bottom = 105});
  }
  for (double const x : {100.0, 104.0, 108.0, 112.0})
    areas.push_back(places.place(x, 100, 30, 10).area);
  for (std::size_t i = 0; i < areas.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) CHECK(report::overlap(areas[i], areas[j]) == 0.0);
  }
}

TEST_CASE("label_placement: a label steps aside for a line", "[report][label_placement]") {
  report::label_placement places({.left = 0, .top = 0, .right = 200, .bottom = 200});
  report::line_segment const line{.x1 = 100, .y1 = 100, .x2 = 190, .y2 = 100};
  places.avoid(line);
  CHECK_FALSE(report::crosses(line, places.place(100, 100, 30, 10).area));
}

TEST_CASE("text_width: grows with the text and the size", "[report][label_placement]") {
  CHECK(report::text_width("ab", 10) == Approx(2 * report::text_width("a", 10)));
  CHECK(report::text_width("wide", 20) == Approx(2 * report::text_width("wide", 10)));
  CHECK(report::text_width("ill", 10) < report::text_width("mmm", 10));
  CHECK(report::text_width("", 10) == 0.0);
}
