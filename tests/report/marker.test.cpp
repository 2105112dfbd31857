// SPDX-License-Identifier: MIT
#include <cmath>
#include <cstddef>
#include <numbers>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>
#include <prefer/report/marker.hpp>

#include "xml.hpp"

namespace report = prefer::report;

namespace {

xml::element drawn(std::size_t index) {
  report::svg_writer out(100, 100);
  report::draw_marker(out, index, 50, 50);
  std::string const picture = std::move(out).finish();
  return xml::reader(picture).with_class("marker").at(0);
}

/// Area of a marker: of a circle, a square, or a polygon by the shoelace formula.
double area_of(xml::element const& marker) {
  if (marker.name == "circle") {
    double const r = marker.number("r");
    return std::numbers::pi * r * r;
  }
  if (marker.name == "rect") return marker.number("width") * marker.number("height");
  std::vector<std::pair<double, double>> corners;
  std::istringstream in(marker.attributes.at("points"));
  double x = 0;
  double y = 0;
  for (char comma = 0; in >> x >> comma >> y;) corners.emplace_back(x, y);
  double twice = 0;
  for (std::size_t i = 0; i < corners.size(); ++i) {
    auto const& a = corners[i];
    auto const& b = corners[(i + 1) % corners.size()];
    twice += a.first * b.second - b.first * a.second;
  }
  return std::fabs(twice) / 2;
}

}  // namespace

TEST_CASE("marker: shapes have about the same area, so that none looks more important",
          "[report][marker]") {
  double const circle = area_of(drawn(0));
  for (std::size_t i = 1; i < 6; ++i) {
    INFO(i);
    CHECK(area_of(drawn(i)) == Approx(circle).epsilon(0.25));
  }
}

TEST_CASE("marker: shape and colour together tell 42 series apart", "[report][marker]") {
  std::set<std::string> seen;
  for (std::size_t i = 0; i < 42; ++i) {
    auto const marker = drawn(i);
    std::string style = marker.name;
    for (auto const& [name, value] : marker.attributes) style += ' ' + name + '=' + value;
    seen.insert(style);
    CHECK(marker.attributes.at("fill") == report::colour_of(i));
  }
  CHECK(seen.size() == 42);
  CHECK(report::colour_of(7) == report::colour_of(0));
}
