// SPDX-License-Identifier: MIT
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <prefer/report/plot_layout.hpp>

namespace report = prefer::report;

namespace {

/// What a plot of some points shows, with everything that it looks at.
struct example {
  std::string title = {};
  report::axis x = {};
  report::axis y = {};
  std::vector<report::series> series = {};

  [[nodiscard]] report::plot_layout layout() const {
    return report::layout_of({.title = title,
                              .x = x,
                              .y = y,
                              .series = series,
                              .horizontals = {},
                              .width = 520,
                              .height = 360});
  }
};

}  // namespace

TEST_CASE("plot_layout: the frame leaves room for what is written around it",
          "[report][plot_layout]") {
  example plain{.series = {{.points = {{.x = 0, .y = 0}, {.x = 1, .y = 1}}}}};
  auto const bare = plain.layout();
  plain.title = "title";
  plain.x.label = "x";
  plain.y.label = "y";
  auto const full = plain.layout();
  CHECK(full.frame.top == bare.frame.top + 24);
  CHECK(full.frame.bottom == bare.frame.bottom - 22);
  CHECK(full.frame.left == bare.frame.left + 22);
  CHECK(full.frame.right == bare.frame.right);
}

TEST_CASE("plot_layout: the smallest value maps to the bottom of the frame, the largest to the top",
          "[report][plot_layout]") {
  example const limited{.x = {.min = 0.0, .max = 1.0},
                        .y = {.min = -5.0, .max = 5.0},
                        .series = {{.points = {{.x = 0, .y = 0}}}}};
  auto const at = limited.layout();
  CHECK(at.x(0) == at.frame.left);
  CHECK(at.x(1) == at.frame.right);
  CHECK(at.y(-5) == at.frame.bottom);
  CHECK(at.y(5) == at.frame.top);
}

TEST_CASE("plot_layout: wide labels of the y axis push the frame to the right",
          "[report][plot_layout]") {
  example const narrow{.series = {{.points = {{.x = 0, .y = 0}, {.x = 1, .y = 5}}}}};
  example const wide{.series = {{.points = {{.x = 0, .y = 1e6}, {.x = 1, .y = 1e6 + 0.5}}}}};
  CHECK(wide.layout().frame.left > narrow.layout().frame.left + 20);
}

TEST_CASE("plot_layout: bars are inside the range, but stretch no logarithmic axis over decades",
          "[report][plot_layout]") {
  example bars{.series = {{.points = {{.x = 0, .y = 3, .y_error = 2}, {.x = 1, .y = 4}}}}};
  auto const linear = bars.layout();
  CHECK(linear.y.low < 1);
  CHECK(linear.y.high > 5);
  bars.y.scale = report::scale::log;
  bars.series[0].points[0].y_error = 2.9999;
  CHECK(bars.layout().y.low > 0.5);  // a third of 3, and some air
}
