// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include <prefer/expects.hpp>
#include <prefer/report/axis.hpp>
#include <prefer/report/label_placement.hpp>
#include <prefer/report/series.hpp>
#include <prefer/text/number.hpp>

namespace prefer::inline v0_1::report {

/// What a plot shows, by views of whoever holds it.
struct plot_content {
  std::string_view title;
  axis const& x;
  axis const& y;
  std::span<report::series const> series;
  std::span<horizontal_line const> horizontals;
  double width;
  double height;
};

/// Sizes of what is written on a plot, in CSS pixels.
inline constexpr double tick_size = 12;
inline constexpr double label_size = 13.5;
inline constexpr double note_size = 11;

/// Where everything of a plot goes.
struct plot_layout {
  box frame = {};
  axis_mapping x = {};
  axis_mapping y = {};
  axis_ticks x_ticks = {};
  axis_ticks y_ticks = {};
};

namespace detail {

/// What is asked for must make sense.
class plot_check {
 public:
  explicit plot_check(plot_content const& plot) : plot_(plot) {}

  void run() const {
    if (plot_.series.empty()) refuse("needs at least one series");
    if (!(plot_.width >= 160 && plot_.width <= 1e5 && plot_.height >= 120 && plot_.height <= 1e5)) {
      refuse("is " + prefer::text::shortest(plot_.width) + " by " +
             prefer::text::shortest(plot_.height) + ", expected at least 160 by 120");
    }
    check(plot_.x, "x");
    check(plot_.y, "y");
    for (std::size_t s = 0; s < plot_.series.size(); ++s) {
      auto const& points = plot_.series[s].points;
      if (points.empty()) refuse(name_of(s) + " has no points");
      for (std::size_t i = 0; i < points.size(); ++i) {
        std::string const where = name_of(s) + ", point " + std::to_string(i);
        check_value(plot_.x, "x", points[i].x, where);
        check_value(plot_.y, "y", points[i].y, where);
        if (points[i].x_error < 0 || points[i].y_error < 0) {
          refuse(where + ", has a negative error; expected half the length of the bar");
        }
      }
    }
    for (auto const& line : plot_.horizontals) {
      check_value(plot_.y, "y", line.y, "horizontal line \"" + line.label + '"');
    }
  }

 private:
  [[noreturn]] void refuse(std::string const& what) const {
    std::string const which = plot_.title.empty() ? "" : " \"" + std::string(plot_.title) + '"';
    prefer::detail::broken("report::line_plot" + which + ": " + what);
  }

  void check(axis const& a, std::string const& name) const {
    std::string const where = "the " + name + " axis";
    for (double const tick : a.ticks) {
      if (!drawable(tick)) refuse(where + " has the tick " + prefer::text::shortest(tick));
      check_value(a, name, tick, where);
    }
    for (auto const& limit : {a.min, a.max}) {
      if (limit && !drawable(*limit))
        refuse(where + " has the limit " + prefer::text::shortest(*limit));
      if (limit) check_value(a, name, *limit, where);
    }
    if (a.min && a.max && !apart(a.scale, *a.min, *a.max)) {
      refuse(where + " goes from " + prefer::text::shortest(*a.min) + " to " +
             prefer::text::shortest(*a.max) + ", expected min clearly below max");
    }
  }

  void check_value(axis const& a, std::string const& name, double value,
                   std::string const& where) const {
    if (a.scale == scale::log && drawable(value) && value <= 0) {
      refuse(where + ", has " + name + " = " + prefer::text::shortest(value) +
             "; a logarithmic axis needs values greater than zero");
    }
  }

  [[nodiscard]] std::string name_of(std::size_t s) const {
    std::string const& name = plot_.series[s].name;
    return "series " + (name.empty() ? std::to_string(s) : '"' + name + '"');
  }

  plot_content const& plot_;
};

/// Makes room on an axis for a value and its bar.
inline void include(value_range& seen, axis const& a, double value, double error) {
  seen.include(value);
  if (!drawable(error)) return;
  if (drawable(value + error)) seen.include(value + error);
  // A bar that comes close to zero would stretch a logarithmic axis over decades without data.
  double const lowest = a.scale == scale::log ? value / 3 : -1e300;
  seen.include(std::max(value - error, lowest));
}

}  // namespace detail

/// Errors  of line_plot
[[nodiscard]] inline plot_layout layout_of(plot_content const& plot) {
  detail::plot_check(plot).run();
  plot_layout to;
  value_range x_seen;
  value_range y_seen;
  for (auto const& s : plot.series) {
    for (auto const& p : s.points) {
      if (!drawable(p)) continue;
      detail::include(x_seen, plot.x, p.x, p.x_error);
      detail::include(y_seen, plot.y, p.y, p.y_error);
    }
  }
  for (auto const& line : plot.horizontals) {
    if (drawable(line.y)) y_seen.include(line.y);
  }
  to.x = fitted(plot.x, x_seen);
  to.y = fitted(plot.y, y_seen);

  to.frame.top = plot.title.empty() ? 14 : 38;
  to.frame.bottom = plot.height - (plot.x.label.empty() ? 30 : 52);
  to.y_ticks =
      ticks_of(plot.y, to.y, std::max(2, static_cast<int>((to.frame.bottom - to.frame.top) / 42)));
  double widest = 0;
  for (auto const& label : to.y_ticks.labels)
    widest = std::max(widest, text_width(label, tick_size));
  to.frame.left = (plot.y.label.empty() ? 10 : 32) + widest + 8;
  to.frame.right = plot.width - 16;
  to.x_ticks =
      ticks_of(plot.x, to.x, std::max(2, static_cast<int>((to.frame.right - to.frame.left) / 64)));
  to.x.from = to.frame.left;
  to.x.to = to.frame.right;
  to.y.from = to.frame.bottom;
  to.y.to = to.frame.top;
  return to;
}

}  // namespace prefer::inline v0_1::report
