// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/file/atomic_file.hpp>
#include <prefer/report/axis.hpp>
#include <prefer/report/plot_panel.hpp>
#include <prefer/report/series.hpp>
#include <prefer/report/svg.hpp>

namespace prefer::inline v0_1::report {

/// A plot of one or more series as an SVG picture that can go into a paper as it is.
///
/// Colours tell series apart for readers with any colour vision, and markers for those without colours. The legend
/// stands to the right of the plot area and adds to `width`.
///
/// Errors  no series; a series without points; a negative error; a value that is not greater than zero on a logarithmic
///         axis; min not below max: precondition_error that names the series and the point. Non-finite values, and those
///         beyond 1e300, are not errors: they are left out, and a series that has nothing else says so in the legend. On a
///         logarithmic axis a bar that reaches far below its point, or below zero, ends at the edge of the plot.
struct line_plot {
  std::string title = {};
  axis x = {};
  axis y = {};
  std::vector<report::series> series = {};
  std::vector<horizontal_line> horizontals = {};
  double width = 520;  // of the axes with their labels, in CSS pixels
  double height = 360;

  void add(report::series added) { series.push_back(std::move(added)); }
  void add_horizontal(horizontal_line added) { horizontals.push_back(std::move(added)); }

  [[nodiscard]] std::string svg() const;
  /// Writes svg() to `path`, whole or not at all. Errors as svg(), and backend_error.
  void write(std::string path) const;
};

/// Plots side by side in one picture. If all have the same legend, it is drawn once, at the right.
struct plot_row {
  std::vector<line_plot> plots = {};

  [[nodiscard]] std::string svg() const;
  /// Writes svg() to `path`, whole or not at all. Errors as svg(), and backend_error.
  void write(std::string path) const;
};

namespace detail {

[[nodiscard]] inline std::string svg_of(std::vector<line_plot> const& plots) {
  expects(!plots.empty(), "report::plot_row: needs at least one plot");
  std::vector<plot_panel> panels;
  panels.reserve(plots.size());
  for (auto const& plot : plots) {
    panels.emplace_back(plot_content{.title = plot.title,
                                     .x = plot.x,
                                     .y = plot.y,
                                     .series = plot.series,
                                     .horizontals = plot.horizontals,
                                     .width = plot.width,
                                     .height = plot.height});
  }
  bool const shared = std::all_of(panels.begin(), panels.end(), [&](plot_panel const& panel) {
    return panel.legend() == panels.front().legend();
  });
  auto const legend = [&](plot_panel const& panel) { return !shared || &panel == &panels.back(); };
  double width = 0;
  double height = 0;
  for (auto const& panel : panels) {
    width += panel.width(legend(panel));
    height = std::max(height, panel.height());
  }
  svg_writer out(width, height);
  double offset = 0;
  for (auto const& panel : panels) {
    panel.draw(out, offset, legend(panel));
    offset += panel.width(legend(panel));
  }
  return std::move(out).finish();
}

inline void write_svg(std::string path, std::string const& svg) {
  atomic_file file(std::move(path));
  file.write(svg);
  file.commit();
}

}  // namespace detail

inline std::string line_plot::svg() const { return detail::svg_of({*this}); }
inline void line_plot::write(std::string path) const { detail::write_svg(std::move(path), svg()); }
inline std::string plot_row::svg() const { return detail::svg_of(plots); }
inline void plot_row::write(std::string path) const { detail::write_svg(std::move(path), svg()); }

}  // namespace prefer::inline v0_1::report
