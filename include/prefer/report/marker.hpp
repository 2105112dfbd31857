// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include <prefer/report/svg.hpp>

namespace prefer::inline v0_1::report {

/// The colour of series `index` of a plot, for readers with any colour vision; after seven they come again.
///
/// Source  Okabe and Ito 2008, "Color Universal Design", without the yellow, which is faint on white
[[nodiscard]] inline std::string_view colour_of(std::size_t index) {
  static constexpr std::string_view colours[] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7",
                                                 "#E69F00", "#56B4E9", "#000000"};
  return colours[index % 7];
}

/// A round mark of a cloud; takes the colour of the group that it is drawn in.
inline void draw_dot(svg_writer& out, double x, double y, double radius = 1.6) {
  out.leaf("circle", {{"class", "dot"}, {"cx", x}, {"cy", y}, {"r", radius}});
}

/// The marker of series `index`, for readers without colours; after six they come again.
/// Shapes have about the same area, so that none looks more important.
inline void draw_marker(svg_writer& out, std::size_t index, double x, double y) {
  auto const colour = colour_of(index);
  auto const polygon = [&](std::initializer_list<std::pair<double, double>> corners) {
    std::string text;
    for (auto const& [dx, dy] : corners) {
      text += (text.empty() ? "" : " ") + svg_number(x + dx) + ',' + svg_number(y + dy);
    }
    out.leaf("polygon", {{"class", "marker"}, {"points", text}, {"fill", colour}});
  };
  switch (index % 6) {
    case 0:
      out.leaf("circle", {{"class", "marker"}, {"cx", x}, {"cy", y}, {"r", 4.6}, {"fill", colour}});
      break;
    case 1:
      out.leaf("rect", {{"class", "marker"},
                        {"x", x - 4.1},
                        {"y", y - 4.1},
                        {"width", 8.2},
                        {"height", 8.2},
                        {"fill", colour}});
      break;
    case 2:
      polygon({{0, -5.9}, {5.4, 3.7}, {-5.4, 3.7}});
      break;
    case 3:
      polygon({{0, -5.9}, {5.9, 0}, {0, 5.9}, {-5.9, 0}});
      break;
    case 4:
      polygon({{0, 5.9}, {5.4, -3.7}, {-5.4, -3.7}});
      break;
    default:
      polygon({{-1.7, -5.4},
               {1.7, -5.4},
               {1.7, -1.7},
               {5.4, -1.7},
               {5.4, 1.7},
               {1.7, 1.7},
               {1.7, 5.4},
               {-1.7, 5.4},
               {-1.7, 1.7},
               {-5.4, 1.7},
               {-5.4, -1.7},
               {-1.7, -1.7}});
  }
}

}  // namespace prefer::inline v0_1::report
