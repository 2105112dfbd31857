// SPDX-License-Identifier: MIT
#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>
#include <prefer/report/plot_panel.hpp>

#include "xml.hpp"

namespace report = prefer::report;

namespace {

struct example {
  report::axis x = {.min = 0.0, .max = 10.0};
  report::axis y = {.min = 0.0, .max = 10.0};
  std::vector<report::series> series = {};
  std::vector<report::horizontal_line> horizontals = {};

  [[nodiscard]] report::plot_panel panel() const {
    return report::plot_panel({.title = {},
                               .x = x,
                               .y = y,
                               .series = series,
                               .horizontals = horizontals,
                               .width = 520,
                               .height = 360});
  }
  [[nodiscard]] std::string picture(bool with_legend) const {
    report::svg_writer out(1000, 1000);
    panel().draw(out, 0, with_legend);
    return std::move(out).finish();
  }
};

}  // namespace

TEST_CASE("plot_panel: the legend lists what has a name, and tells what could not be drawn",
          "[report][plot_panel]") {
  double const missing = std::numeric_limits<double>::quiet_NaN();
  example const shown{.series = {{.name = "dpo", .points = {{.x = 1, .y = 1}}},
                                 {.points = {{.x = 2, .y = 2}}},
                                 {.name = "ipo", .points = {{.x = 1, .y = missing}}}},
                      .horizontals = {{.y = 5, .label = "chance"}, {.y = 6}}};
  auto const legend = shown.panel().legend();
  REQUIRE(legend.size() == 3);
  CHECK(legend[0] == report::legend_entry{.name = "dpo", .series = 0, .horizontal = false});
  CHECK(legend[1] ==
        report::legend_entry{.name = "ipo (not finite)", .series = 2, .horizontal = false});
  CHECK(legend[2] == report::legend_entry{.name = "chance", .series = 0, .horizontal = true});
}

TEST_CASE("plot_panel: the legend adds its width, and is drawn where it is asked for",
          "[report][plot_panel]") {
  example const shown{.series = {{.name = "dpo", .points = {{.x = 1, .y = 1}}}}};
  auto const panel = shown.panel();
  CHECK(panel.width(false) == 520);
  CHECK(panel.width(true) > 560);
  CHECK(xml::reader(shown.picture(true)).with_class("legend").size() == 1);
  CHECK(xml::reader(shown.picture(false)).with_class("legend").empty());
}

TEST_CASE("plot_panel: a bar has two caps, and one that is cut off has one",
          "[report][plot_panel]") {
  auto const segments = [](double y_error, report::scale scale) {
    example bar{.y = {.scale = scale, .min = 0.1, .max = 10.0},
                .series = {{.points = {{.x = 5, .y = 3, .y_error = y_error}}}}};
    std::string const path =
        xml::reader(bar.picture(false)).with_class("error").at(0).attributes.at("d");
    return std::count(path.begin(), path.end(), 'M');
  };
  CHECK(segments(1, report::scale::linear) == 3);
  CHECK(segments(1, report::scale::log) == 3);
  CHECK(segments(3, report::scale::log) == 2);  // down to zero: no cap below the edge
}
