// SPDX-License-Identifier: MIT
#include <cmath>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <prefer/expects.hpp>
#include <prefer/report/line_plot.hpp>
#include <support/temporary_folder.hpp>

#include "xml.hpp"

namespace report = prefer::report;
using Catch::Matchers::Contains;

namespace {

double const missing = std::numeric_limits<double>::quiet_NaN();
double const infinity = std::numeric_limits<double>::infinity();

/// The rectangle of the plot area as it was drawn.
struct frame {
  double left, top, width, height;
  explicit frame(xml::reader const& read) {
    auto const rect = read.with_class("frame").at(0);
    left = rect.number("x");
    top = rect.number("y");
    width = rect.number("width");
    height = rect.number("height");
  }
  [[nodiscard]] double x(double share) const { return left + share * width; }
  [[nodiscard]] double y(double share) const {
    return top + (1 - share) * height;
  }  // y grows downwards
};

/// Commands of a path of M and L only.
struct path_point {
  char command;
  double x, y;
};
std::vector<path_point> path_of(xml::element const& e) {
  std::vector<path_point> result;
  std::istringstream in(e.attributes.at("d"));
  path_point p{};
  while (in >> p.command >> p.x >> p.y) result.push_back(p);
  return result;
}

report::line_plot one_series(std::vector<report::point> points) {
  report::line_plot plot;
  plot.add({.name = "trained", .points = std::move(points)});
  return plot;
}

Approx near(double value) { return Approx(value).margin(0.011); }  // coordinates have two decimals

}  // namespace

TEST_CASE("line_plot: points stand where the linear axes put them", "[report][line_plot]") {
  auto plot = one_series({{.x = 2.5, .y = 0.6}, {.x = 10, .y = 0}});
  plot.x = {.label = "step", .min = 0, .max = 10};
  plot.y = {.label = "loss", .min = 0, .max = 0.8};
  xml::reader const read(plot.svg());
  frame const area(read);
  auto const markers = read.with_class("marker");
  REQUIRE(markers.size() >= 2);
  CHECK(markers[0].number("cx") == near(area.x(0.25)));  // 2.5 of 10
  CHECK(markers[0].number("cy") == near(area.y(0.75)));  // 0.6 of 0.8
  CHECK(markers[1].number("cx") == near(area.x(1)));
  CHECK(markers[1].number("cy") == near(area.y(0)));
}

TEST_CASE("line_plot: equal factors are equal distances on a logarithmic axis",
          "[report][line_plot]") {
  auto plot = one_series({{.x = 0.1, .y = 10}, {.x = 1, .y = 100}});
  plot.x = {.label = "beta", .scale = report::scale::log, .min = 0.01, .max = 100};
  plot.y = {.scale = report::scale::log, .min = 1, .max = 1000};
  xml::reader const read(plot.svg());
  frame const area(read);
  auto const markers = read.with_class("marker");
  CHECK(markers[0].number("cx") == near(area.x(0.25)));       // one of four decades
  CHECK(markers[0].number("cy") == near(area.y(1.0 / 3.0)));  // one of three
  CHECK(markers[1].number("cx") == near(area.x(0.5)));
  CHECK(markers[1].number("cy") == near(area.y(2.0 / 3.0)));
}

TEST_CASE("line_plot: an axis without limits leaves air around the data", "[report][line_plot]") {
  xml::reader const read(one_series({{.x = 0, .y = -1}, {.x = 1, .y = 1}}).svg());
  frame const area(read);
  for (auto const& marker : {read.with_class("marker")[0], read.with_class("marker")[1]}) {
    CHECK(marker.number("cx") > area.x(0) + 5);
    CHECK(marker.number("cx") < area.x(1) - 5);
    CHECK(marker.number("cy") > area.y(1) + 5);
    CHECK(marker.number("cy") < area.y(0) - 5);
  }
}

TEST_CASE("line_plot: the betas of a sweep are the ticks", "[report][line_plot]") {
  auto plot = one_series({{.x = 0.03, .y = 1}, {.x = 0.3, .y = 2}});
  plot.x = {.scale = report::scale::log, .ticks = {0.01, 0.03, 0.1, 0.3, 1}};
  xml::reader const read(plot.svg());
  CHECK(read.texts("x-tick") == std::vector<std::string>{"0.01", "0.03", "0.1", "0.3", "1"});
  // The data end at 0.03 and 0.3; the axis reaches all the ticks.
  frame const area(read);
  for (auto const& tick : read.with_class("x-tick")) {
    CHECK(tick.number("x") > area.x(0));
    CHECK(tick.number("x") < area.x(1));
  }
}

TEST_CASE("line_plot: labels of crowded ticks give way and never overlap", "[report][line_plot]") {
  auto plot = one_series({{.x = 0.01, .y = 1}, {.x = 5, .y = 2}});
  plot.x.ticks = {5, 0.01, 0.02, 0.03, 1};  // on a linear axis the small ones fall together
  xml::reader const read(plot.svg());
  CHECK(read.texts("x-tick") == std::vector<std::string>{"0.01", "1", "5"});
}

TEST_CASE("line_plot: an error bar spans value minus to value plus error", "[report][line_plot]") {
  auto plot = one_series({{.x = 5, .y = 5, .y_error = 2, .x_error = 1}, {.x = 6, .y = 5}});
  plot.x = {.min = 0, .max = 10};
  plot.y = {.min = 0, .max = 10};
  xml::reader const read(plot.svg());
  frame const area(read);
  REQUIRE(read.with_class("error").size() == 1);  // the second point has none
  auto const bar = path_of(read.with_class("error")[0]);
  REQUIRE(bar.size() == 12);  // two bars and four caps, two ends each
  CHECK(bar[0].x == near(area.x(0.5)));
  CHECK(bar[0].y == near(area.y(0.7)));
  CHECK(bar[1].y == near(area.y(0.3)));
  CHECK(bar[6].x == near(area.x(0.4)));
  CHECK(bar[7].x == near(area.x(0.6)));
  CHECK(bar[6].y == near(area.y(0.5)));
}

TEST_CASE("line_plot: a bar below zero on a logarithmic axis ends at the edge",
          "[report][line_plot]") {
  auto plot = one_series({{.x = 1, .y = 1, .y_error = 2}, {.x = 2, .y = 3}});
  plot.y = {.scale = report::scale::log};
  xml::reader const read(plot.svg());
  frame const area(read);
  auto const bar = path_of(read.with_class("error").at(0));
  REQUIRE(bar.size() == 4);  // the bar and its upper cap: a lower cap would claim an end
  CHECK(bar[1].y == near(area.y(0)));
}

TEST_CASE("line_plot: an error band runs along the upper edge and back along the lower",
          "[report][line_plot]") {
  report::line_plot plot{.x = {.min = 0, .max = 1}, .y = {.min = 0, .max = 1}};
  plot.add({.points = {{.x = 0, .y = 0.5, .y_error = 0.25}, {.x = 1, .y = 0.5, .y_error = 0.1}},
            .error_band = true});
  xml::reader const read(plot.svg());
  frame const area(read);
  auto const band = path_of(read.with_class("band").at(0));
  REQUIRE(band.size() == 4);
  CHECK(band[0].y == near(area.y(0.75)));
  CHECK(band[1].y == near(area.y(0.6)));
  CHECK(band[2].y == near(area.y(0.4)));
  CHECK(band[3].y == near(area.y(0.25)));
  CHECK(band[2].x == near(area.x(1)));
  CHECK(read.with_class("error").empty());
}

TEST_CASE("line_plot: a non-finite point leaves a gap", "[report][line_plot]") {
  for (double const bad : {missing, infinity, -infinity}) {
    auto const plot = one_series({{0, 1}, {1, 2}, {2, bad}, {3, 4}, {4, 5}, {bad, 3}, {6, 1}});
    xml::reader const read(plot.svg());
    auto const lines = read.with_class("line");
    REQUIRE(lines.size() == 2);  // the last point is alone and has no line
    CHECK(path_of(lines[0]).size() == 2);
    CHECK(path_of(lines[1]).size() == 2);
    CHECK(read.with_class("marker").size() == 5 + 1);  // and one in the legend
  }
}

TEST_CASE("line_plot: a series without a finite point says so in the legend",
          "[report][line_plot]") {
  auto plot = one_series({{.x = 1, .y = missing}});
  CHECK(xml::reader(plot.svg()).texts("legend") ==
        std::vector<std::string>{"trained (not finite)"});
  plot.y.scale = report::scale::log;
  CHECK_NOTHROW(xml::reader(plot.svg()));
}

TEST_CASE("line_plot: points outside given limits are not drawn", "[report][line_plot]") {
  auto plot = one_series({{.x = -1, .y = 0.5}, {.x = 0.5, .y = 0.5}, {.x = 0.6, .y = 1e299}});
  plot.series[0].name.clear();  // no legend, whose marker would count
  plot.x = {.min = 0, .max = 1};
  plot.y = {.min = 0, .max = 1};
  auto const svg = plot.svg();
  CHECK(xml::reader(svg).with_class("marker").size() == 1);
  CHECK(svg.find("inf") == std::string::npos);
  CHECK(svg.find("e+") == std::string::npos);
}

TEST_CASE("line_plot: texts with special characters come back as they went in",
          "[report][line_plot]") {
  std::string const awkward = "a < b & \"c\" > 'd'";
  report::line_plot plot{.title = awkward, .x = {.label = awkward}, .y = {.label = awkward}};
  plot.add({.name = awkward, .points = {{.x = 1, .y = 2, .label = awkward}}});
  plot.add_horizontal({.y = 1, .label = awkward});
  xml::reader const read(plot.svg());
  for (auto const* place : {"title", "x-label", "y-label", "note"}) {
    INFO(place);
    CHECK(read.texts(place) == std::vector<std::string>{awkward});
  }
  CHECK(read.texts("legend") == std::vector<std::string>{awkward, awkward});
}

TEST_CASE("line_plot: series differ in colour and in marker", "[report][line_plot]") {
  report::line_plot plot;
  for (int i = 0; i < 6; ++i) {
    plot.add({.points = {{.x = 1, .y = double(i)}, {.x = 2, .y = double(i)}}});
  }
  xml::reader const read(plot.svg());
  auto const lines = read.with_class("line");
  auto const markers = read.with_class("marker");
  REQUIRE(lines.size() == 6);
  REQUIRE(markers.size() == 12);
  for (std::size_t i = 0; i < 6; ++i) {
    CHECK(markers[2 * i].attributes.at("fill") == lines[i].attributes.at("stroke"));
    for (std::size_t j = 0; j < i; ++j) {
      CHECK(lines[i].attributes.at("stroke") != lines[j].attributes.at("stroke"));
    }
  }
  CHECK(markers[0].name == "circle");
  CHECK(markers[2].name == "rect");
  CHECK(markers[4].name == "polygon");
}

TEST_CASE("line_plot: a long series has a marker at every twelfth of it", "[report][line_plot]") {
  report::series curve{.name = ""};
  for (int i = 0; i < 1200; ++i) curve.points.push_back({.x = double(i), .y = 1});
  report::line_plot plot{.series = {curve}};
  CHECK(xml::reader(plot.svg()).with_class("marker").size() == 12);
  plot.series[0].line = false;  // without a line the markers are all there is
  CHECK(xml::reader(plot.svg()).with_class("marker").size() == 1200);
  plot.series[0].markers = false;
  CHECK(xml::reader(plot.svg()).with_class("marker").empty());
}

TEST_CASE("line_plot: a horizontal line stands at its level, across the whole area",
          "[report][line_plot]") {
  auto plot = one_series({{.x = 0, .y = 0}, {.x = 1, .y = 1}});
  plot.y = {.min = 0, .max = 1};
  plot.add_horizontal({.y = 0.5, .label = "chance"});
  xml::reader const read(plot.svg());
  frame const area(read);
  auto const line = read.with_class("horizontal").at(0);
  CHECK(line.number("y1") == near(area.y(0.5)));
  CHECK(line.number("y2") == near(area.y(0.5)));
  CHECK(line.number("x1") == near(area.x(0)));
  CHECK(line.number("x2") == near(area.x(1)));
}

TEST_CASE("line_plot: the legend stands right of the plot area, inside the picture",
          "[report][line_plot]") {
  xml::reader const read(one_series({{.x = 0, .y = 0}}).svg());
  frame const area(read);
  auto const legend = read.with_class("legend").at(0);
  CHECK(legend.number("x") > area.x(1));
  CHECK(legend.number("x") + 40 < read.elements[0].number("width"));
}

TEST_CASE("line_plot: labels of crowded points do not overlap", "[report][line_plot]") {
  auto const plot = one_series({{.x = 1.00, .y = 1.00, .label = "beta 0.1"},
                                {.x = 1.02, .y = 1.01, .label = "beta 0.2"},
                                {.x = 1.04, .y = 1.00, .label = "beta 0.5"},
                                {.x = 3, .y = 3, .label = "beta 1"}});
  xml::reader const read(plot.svg());
  auto const notes = read.with_class("note");
  REQUIRE(notes.size() == 4);
  std::vector<report::box> boxes;
  for (auto const& note : notes) {
    double const width =
        40;  // eight characters of 11 units, of which a letter takes less than half
    std::string const anchor = note.attributes.at("text-anchor");
    double const left = note.number("x") - (anchor == "end"      ? width
                                            : anchor == "middle" ? width / 2
                                                                 : 0);
    boxes.push_back({.left = left,
                     .top = note.number("y") - 9,
                     .right = left + width,
                     .bottom = note.number("y")});
  }
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) CHECK(report::overlap(boxes[i], boxes[j]) == 0.0);
  }
}

TEST_CASE("line_plot: what cannot be drawn is refused by name", "[report][line_plot]") {
  REQUIRE_THROWS_AS(report::line_plot{}.svg(), prefer::precondition_error);
  CHECK_THROWS_WITH(report::line_plot{.title = "frontier"}.svg(), Contains("frontier"));
  CHECK_THROWS_WITH(one_series({}).svg(), Contains("\"trained\" has no points"));
  CHECK_THROWS_WITH(one_series({{.x = 1, .y = 1}, {.x = 1, .y = 1, .y_error = -0.1}}).svg(),
                    Contains("\"trained\", point 1") && Contains("negative"));

  auto plot = one_series({{.x = 1, .y = 1}, {.x = 0, .y = 1}});
  plot.x.scale = report::scale::log;
  CHECK_THROWS_WITH(plot.svg(), Contains("\"trained\", point 1") && Contains("x = 0"));
  plot.x = {.min = 2, .max = 2};
  CHECK_THROWS_WITH(plot.svg(), Contains("x axis") && Contains("from 2 to 2"));
  plot.x = {.min = 1e15, .max = 1e15 + 0.125};  // no room for a tick between neighbouring doubles
  CHECK_THROWS_AS(plot.svg(), prefer::precondition_error);
  plot.x = {.ticks = {missing}};
  CHECK_THROWS_WITH(plot.svg(), Contains("x axis") && Contains("nan"));
  plot.x = {};
  plot.y = {.scale = report::scale::log, .ticks = {0.0}};
  CHECK_THROWS_AS(plot.svg(), prefer::precondition_error);
  plot.y = {.scale = report::scale::log};
  plot.add_horizontal({.y = -1, .label = "chance"});
  CHECK_THROWS_WITH(plot.svg(), Contains("\"chance\""));
  plot = one_series({{.x = 1, .y = 1}});
  plot.width = 20;
  CHECK_THROWS_WITH(plot.svg(), Contains("20 by 360"));
}

TEST_CASE("line_plot: extreme and degenerate data give a picture with finite coordinates",
          "[report][line_plot]") {
  for (auto const& points :
       std::vector<std::vector<report::point>>{{{0, 0}},
                                               {{1e300, -1e300}, {-1e300, 1e300}},
                                               {{1e-320, 1e-310}, {2e-320, 2e-310}},
                                               {{1e15, 1}, {1e15 + 1, 1 + 1e-15}},
                                               {{1e-300, 1e300}, {1e300, 1e-300}},
                                               {{1, 1, 1e308, infinity}, {2, 2, missing, 1e300}}}) {
    for (auto const form : {report::scale::linear, report::scale::log}) {
      auto plot = one_series(points);
      bool const positive = points[0].x > 0 && points[0].y > 0;
      if (form == report::scale::log && !positive) continue;
      plot.x.scale = form;
      plot.y.scale = form;
      auto const svg = plot.svg();
      CHECK_NOTHROW(xml::reader(svg));
      CHECK(svg.find("inf") == std::string::npos);
      CHECK(svg.find("nan") == std::string::npos);
    }
  }
}

TEST_CASE("line_plot: write puts the picture at its path, and a missing folder is a backend_error",
          "[report][line_plot]") {
  temporary_folder const folder;
  auto const plot = one_series({{.x = 1, .y = 2}});
  plot.write(folder / "a.svg");
  CHECK(content_of(folder / "a.svg") == plot.svg());
  CHECK(folder.count() == 1);
  CHECK_THROWS_AS(plot.write(folder / "none/a.svg"), prefer::backend_error);
}

TEST_CASE("plot_row: panels stand side by side and share a legend that is the same",
          "[report][line_plot]") {
  auto const plot = one_series({{.x = 1, .y = 2}});
  auto const single = xml::reader(plot.svg()).elements[0].number("width");
  report::plot_row row{.plots = {plot, plot}};
  xml::reader const shared(row.svg());
  CHECK(shared.with_class("plot")[1].attributes.at("transform") == "translate(520 0)");
  CHECK(shared.texts("legend") == std::vector<std::string>{"trained"});
  CHECK(shared.elements[0].number("width") == near(520 + single));

  row.plots[1].series[0].name = "other";
  xml::reader const separate(row.svg());
  CHECK(separate.texts("legend") == std::vector<std::string>{"trained", "other"});
  CHECK_THROWS_AS(report::plot_row{}.svg(), prefer::precondition_error);
}

TEST_CASE("line_plot: a cloud is drawn as one dot per point that is in sight",
          "[report][line_plot]") {
  report::line_plot plot;
  plot.x = {.min = -1, .max = 1};
  plot.y = {.min = -1, .max = 1};
  report::series cloud{.name = "samples", .line = false, .dots = true};
  for (int i = 0; i != 40; ++i) cloud.points.push_back({.x = 0.02 * i, .y = -0.5});
  cloud.points.push_back({.x = 7, .y = 0});
  plot.add(cloud);
  xml::reader const read(plot.svg());
  frame const area(read);
  auto const dots = read.with_class("dot");
  REQUIRE(dots.size() == 41);  // 40 and one in the legend: no line, so no marker is left out
  CHECK(dots[0].number("cx") == near(area.x(0.5)));
  CHECK(dots[0].number("cy") == near(area.y(0.25)));
  CHECK(read.with_class("marker").empty());
}
