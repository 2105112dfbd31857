// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/file/atomic_file.hpp>
#include <prefer/report/label_placement.hpp>
#include <prefer/report/svg.hpp>
#include <prefer/report/ticks.hpp>

namespace prefer::report {

enum class scale { linear, log };

/// One axis. What is left empty is chosen from the data, with a little air on both sides.
struct axis {
  std::string label = {};
  report::scale scale = report::scale::linear;
  std::vector<double> ticks =
      {};  // exactly these, such as the betas of a sweep; the range includes them
  std::optional<double> min = {};  // where the axis starts, without air
  std::optional<double> max = {};  // where it ends; points outside are not drawn
};

/// One point of a series. An error is half the length of its bar; 0 draws none, nor does a non-finite one.
struct point {
  double x = 0;
  double y = 0;
  double y_error = 0;
  double x_error = 0;
  std::string label = {};  // stands beside the point, where it hides least
};

/// Points in the order in which the line joins them. A non-finite x or y leaves a gap in the line.
struct series {
  std::string name = {};  // in the legend; without a name, not there
  std::vector<point> points = {};
  bool line = true;
  bool markers =
      true;  // of more than 25 points, about every twelfth carries one, so that they stay apart
  bool dots = false;  // markers are small translucent dots, for clouds of many points
  bool dashed = false;
  bool error_band = false;  // y_error as a shaded band instead of bars
};

/// A level to compare with, such as chance or the score of the reference, as a dashed grey line.
struct horizontal_line {
  double y = 0;
  std::string label = {};  // in the legend
};

/// A plot of one or more series as an SVG picture that can go into a paper as it is.
///
/// Colours tell series apart for readers with any colour vision, and markers for those without colours. The legend
/// stands to the right of the plot area and adds to `width`.
///
/// Errors  no series; a series without points; a negative error; a value that is not greater than zero on a logarithmic
///         axis; min not below max: precondition_error that names the series and the point. Non-finite values, and
///         those beyond 1e300, are not errors: they are left out, and a series that has nothing else says so in the
///         legend. On a logarithmic axis a bar that reaches far below its point, or below zero, ends at the edge of the
///         plot.
/// Source  colours: Okabe and Ito 2008, "Color Universal Design", without the yellow, which is faint on white
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

/// Beyond this, range arithmetic would overflow.
inline constexpr double smallest_log = 1e-299;  // a logarithmic axis starts here at the latest
[[nodiscard]] inline bool drawable(double value) { return std::fabs(value) <= 1e300; }
[[nodiscard]] inline bool drawable(point const& p) { return drawable(p.x) && drawable(p.y); }

/// Maps values of one axis to drawing units: `low` to `from`, `high` to `to`.
struct axis_mapping {
  report::scale scale = report::scale::linear;
  double low = 0;
  double high = 1;
  double from = 0;
  double to = 1;

  [[nodiscard]] double share(double value) const {
    if (scale == scale::linear) return (value - low) / (high - low);
    return (std::log(value) - std::log(low)) / (std::log(high) - std::log(low));
  }
  /// A value far off the plot lands a thousand plots away: viewers give up on larger coordinates.
  [[nodiscard]] double operator()(double value) const {
    return from + std::clamp(share(value), -1000.0, 1000.0) * (to - from);
  }
  [[nodiscard]] bool holds(double value) const {
    return share(value) >= -1e-9 && share(value) <= 1 + 1e-9;
  }
};

/// The smallest and the largest value seen so far.
struct value_range {
  double low = HUGE_VAL;
  double high = -HUGE_VAL;

  void include(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  [[nodiscard]] bool empty() const { return low > high; }
};

/// Whether two ends of an axis are far enough apart for ticks and positions between them.
[[nodiscard]] inline bool apart(report::scale form, double low, double high) {
  if (form == scale::log) return high > std::max(low, smallest_log) * (1 + 1e-9);
  return high - low > std::max(1e-12 * std::max(std::fabs(low), std::fabs(high)), 1e-290);
}

/// Range of an axis over what it must show: its own limits where it has them, elsewhere 4% of air; a range without
/// extent gets some.
[[nodiscard]] inline axis_mapping fitted(axis const& a, value_range seen) {
  bool const log = a.scale == scale::log;
  for (double const tick : a.ticks) seen.include(tick);
  if (seen.empty()) seen = {.low = log ? 1.0 : 0.0, .high = log ? 10.0 : 1.0};
  double low = a.min.value_or(seen.low);
  double high = a.max.value_or(seen.high);
  bool const flat = !apart(a.scale, low, high);
  if (log) {
    low = std::max(low, smallest_log);
    high = std::max(high, smallest_log);
    double const factor =
        flat ? 2 : std::exp(std::min(0.04 * (std::log(high) - std::log(low)), 6.0));
    if (!a.min) low = (flat ? std::min(low, high) : low) / factor;
    if (!a.max) high = (flat ? std::max(low, high) : high) * factor;
  } else {
    double const size = std::max(std::fabs(low), std::fabs(high));
    double const air = !flat ? 0.04 * (high - low) : size > 1e-280 ? 0.05 * size : 1;
    if (!a.min) low = (flat ? std::min(low, high) : low) - air;
    if (!a.max) high = (flat ? std::max(low, high) : high) + air;
  }
  return {.scale = a.scale, .low = low, .high = high};
}

struct axis_ticks {
  std::vector<double> values = {};
  std::vector<std::string> labels = {};
  std::vector<double> minor = {};
};

[[nodiscard]] inline axis_ticks ticks_of(axis const& a, axis_mapping const& range, int at_most) {
  axis_ticks result;
  bool const log = a.scale == scale::log;
  if (!a.ticks.empty()) {
    for (double const tick : a.ticks) {
      if (range.holds(tick)) result.values.push_back(tick);
    }
  } else if (log) {
    result.values = log_ticks(range.low, range.high, at_most);
  } else {
    result.values = linear_ticks(range.low, range.high, at_most);
  }
  bool const uniform = a.ticks.empty() && !log;
  result.labels = tick_labels(result.values, uniform ? decimals::same : decimals::as_needed);
  if (log && range.high / range.low < 1e10) result.minor = log_minor_ticks(range.low, range.high);
  return result;
}

struct legend_entry {
  std::string name;
  std::size_t series;  // index of its style
  bool horizontal;
  bool operator==(legend_entry const&) const = default;
};

/// Everything about one plot that is known before the first element is written.
class plot_panel {
 public:
  explicit plot_panel(line_plot const& plot) : plot_(plot) {
    check();
    lay_out();
    list_legend();
  }

  [[nodiscard]] double height() const { return plot_.height; }
  [[nodiscard]] double width(bool with_legend) const {
    return plot_.width + (with_legend ? legend_width() : 0);
  }
  [[nodiscard]] std::vector<legend_entry> const& legend() const { return legend_; }

  void draw(svg_writer& out, double offset, bool with_legend) const {
    out.open("g", {{"class", "plot"}, {"transform", "translate(" + svg_number(offset) + " 0)"}});
    draw_axes(out);
    // A nested viewport cuts off what leaves the plot area, and needs no id that another picture on the same page could
    // share. Two units of room keep a line along the edge whole.
    box const cut = grown(frame_, 2);
    out.open("svg", {{"x", cut.left},
                     {"y", cut.top},
                     {"width", cut.right - cut.left},
                     {"height", cut.bottom - cut.top},
                     {"viewBox", svg_number(cut.left) + ' ' + svg_number(cut.top) + ' ' +
                                     svg_number(cut.right - cut.left) + ' ' +
                                     svg_number(cut.bottom - cut.top)}});
    for (auto const& line : plot_.horizontals) draw_horizontal(out, line);
    for (std::size_t s = 0; s < plot_.series.size(); ++s) draw_lines(out, s);
    out.close();
    for (std::size_t s = 0; s < plot_.series.size(); ++s) draw_markers(out, s);
    draw_labels(out);
    if (with_legend) draw_legend(out);
    out.close();
  }

 private:
  // -- what is asked for must make sense

  [[noreturn]] void refuse(std::string const& what) const {
    std::string const which = plot_.title.empty() ? "" : " \"" + plot_.title + '"';
    prefer::detail::broken("report::line_plot" + which + ": " + what);
  }

  void check() const {
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

  // -- where everything goes

  void lay_out() {
    value_range x_seen;
    value_range y_seen;
    for (auto const& s : plot_.series) {
      for (auto const& p : s.points) {
        if (!drawable(p)) continue;
        include(x_seen, plot_.x, p.x, p.x_error);
        include(y_seen, plot_.y, p.y, p.y_error);
      }
    }
    for (auto const& line : plot_.horizontals) {
      if (drawable(line.y)) y_seen.include(line.y);
    }
    x_ = fitted(plot_.x, x_seen);
    y_ = fitted(plot_.y, y_seen);

    frame_.top = plot_.title.empty() ? 14 : 38;
    frame_.bottom = plot_.height - (plot_.x.label.empty() ? 30 : 52);
    y_ticks_ =
        ticks_of(plot_.y, y_, std::max(2, static_cast<int>((frame_.bottom - frame_.top) / 42)));
    double widest = 0;
    for (auto const& label : y_ticks_.labels)
      widest = std::max(widest, text_width(label, tick_size));
    frame_.left = (plot_.y.label.empty() ? 10 : 32) + widest + 8;
    frame_.right = plot_.width - 16;
    x_ticks_ =
        ticks_of(plot_.x, x_, std::max(2, static_cast<int>((frame_.right - frame_.left) / 64)));
    x_.from = frame_.left;
    x_.to = frame_.right;
    y_.from = frame_.bottom;
    y_.to = frame_.top;
  }

  static void include(value_range& seen, axis const& a, double value, double error) {
    seen.include(value);
    if (!drawable(error)) return;
    if (drawable(value + error)) seen.include(value + error);
    // A bar that comes close to zero would stretch a logarithmic axis over decades without data.
    double const lowest = a.scale == scale::log ? value / 3 : -1e300;
    seen.include(std::max(value - error, lowest));
  }

  // -- axes

  void draw_axes(svg_writer& out) const {
    double const middle = (frame_.left + frame_.right) / 2;
    double const centre = (frame_.top + frame_.bottom) / 2;
    if (!plot_.title.empty()) {
      out.text({{"class", "title"},
                {"x", middle},
                {"y", 23.0},
                {"font-size", 15.0},
                {"font-weight", "bold"},
                {"fill", ink},
                {"text-anchor", "middle"}},
               plot_.title);
    }
    for (double const tick : x_ticks_.values) {
      rule(out, {.x1 = x_(tick), .y1 = frame_.top, .x2 = x_(tick), .y2 = frame_.bottom}, grid, 1);
    }
    for (double const tick : y_ticks_.values) {
      rule(out, {.x1 = frame_.left, .y1 = y_(tick), .x2 = frame_.right, .y2 = y_(tick)}, grid, 1);
    }
    for (double const tick : x_ticks_.minor) {
      rule(out, {.x1 = x_(tick), .y1 = frame_.bottom, .x2 = x_(tick), .y2 = frame_.bottom + 3},
           frame_ink, 0.8);
    }
    for (double const tick : y_ticks_.minor) {
      rule(out, {.x1 = frame_.left - 3, .y1 = y_(tick), .x2 = frame_.left, .y2 = y_(tick)},
           frame_ink, 0.8);
    }
    out.leaf("rect", {{"class", "frame"},
                      {"x", frame_.left},
                      {"y", frame_.top},
                      {"width", frame_.right - frame_.left},
                      {"height", frame_.bottom - frame_.top},
                      {"fill", "none"},
                      {"stroke", frame_ink},
                      {"stroke-width", 1.0}});
    draw_tick_labels(out);
    if (!plot_.x.label.empty()) {
      out.text({{"class", "x-label"},
                {"x", middle},
                {"y", frame_.bottom + 41},
                {"font-size", label_size},
                {"fill", ink},
                {"text-anchor", "middle"}},
               plot_.x.label);
    }
    if (!plot_.y.label.empty()) {
      out.text({{"class", "y-label"},
                {"transform", "translate(19 " + svg_number(centre) + ") rotate(-90)"},
                {"font-size", label_size},
                {"fill", ink},
                {"text-anchor", "middle"}},
               plot_.y.label);
    }
  }

  void draw_tick_labels(svg_writer& out) const {
    // Ticks that were asked for may be closer than their labels are wide: the mark stays, the label goes.
    double free_from = -HUGE_VAL;
    std::vector<std::size_t> order(x_ticks_.values.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(),
              [&](auto a, auto b) { return x_ticks_.values[a] < x_ticks_.values[b]; });
    for (std::size_t const i : order) {
      double const x = x_(x_ticks_.values[i]);
      rule(out, {.x1 = x, .y1 = frame_.bottom, .x2 = x, .y2 = frame_.bottom + 5}, frame_ink, 1);
      double const half = text_width(x_ticks_.labels[i], tick_size) / 2;
      if (x - half < free_from) continue;
      free_from = x + half + 5;
      out.text({{"class", "x-tick"},
                {"x", x},
                {"y", frame_.bottom + 19},
                {"font-size", tick_size},
                {"fill", ink},
                {"text-anchor", "middle"}},
               x_ticks_.labels[i]);
    }
    for (std::size_t i = 0; i < y_ticks_.values.size(); ++i) {
      double const y = y_(y_ticks_.values[i]);
      rule(out, {.x1 = frame_.left - 5, .y1 = y, .x2 = frame_.left, .y2 = y}, frame_ink, 1);
      out.text({{"class", "y-tick"},
                {"x", frame_.left - 8},
                {"y", y + 0.35 * tick_size},
                {"font-size", tick_size},
                {"fill", ink},
                {"text-anchor", "end"}},
               y_ticks_.labels[i]);
    }
  }

  static void rule(svg_writer& out, line_segment const& s, std::string_view colour, double width) {
    out.leaf("line", {{"x1", s.x1},
                      {"y1", s.y1},
                      {"x2", s.x2},
                      {"y2", s.y2},
                      {"stroke", colour},
                      {"stroke-width", width}});
  }

  // -- data

  [[nodiscard]] bool visible(point const& p) const {
    return drawable(p) && x_.holds(p.x) && y_.holds(p.y);
  }

  /// Runs of drawable points: the line is broken between them.
  [[nodiscard]] static std::vector<std::vector<point>> runs(report::series const& s) {
    std::vector<std::vector<point>> result;
    bool joined = false;
    for (auto const& p : s.points) {
      if (!drawable(p)) {
        joined = false;
        continue;
      }
      if (!joined) result.emplace_back();
      result.back().push_back(p);
      joined = true;
    }
    return result;
  }

  /// Half a bar beyond `value`, cut at the edge of the plot, so that a logarithm never sees zero.
  static double bar_end(axis_mapping const& axis, double value) {
    if (axis.scale == scale::log && value <= axis.low) return axis.from;
    return axis(value);
  }

  static bool has_bar(double error) { return error > 0 && drawable(error); }

  void draw_horizontal(svg_writer& out, horizontal_line const& line) const {
    if (!drawable(line.y)) return;
    out.leaf("line", {{"class", "horizontal"},
                      {"x1", frame_.left},
                      {"y1", y_(line.y)},
                      {"x2", frame_.right},
                      {"y2", y_(line.y)},
                      {"stroke", horizontal_ink},
                      {"stroke-width", 1.4},
                      {"stroke-dasharray", "6 4"}});
  }

  void draw_lines(svg_writer& out, std::size_t index) const {
    auto const& s = plot_.series[index];
    auto const colour = colour_of(index);
    for (auto const& run : runs(s)) {
      if (s.error_band) draw_band(out, run, colour);
      if (!s.error_band) {
        for (auto const& p : run) draw_bars(out, p, colour);
      }
      if (!s.line || run.size() < 2) continue;
      std::string path;
      for (auto const& p : run) {
        path += path.empty() ? "M" : " L";
        path += svg_number(x_(p.x)) + ' ' + svg_number(y_(p.y));
      }
      out.leaf("path", {{"class", "line"},
                        {"d", path},
                        {"fill", "none"},
                        {"stroke", colour},
                        {"stroke-width", 2.0},
                        {"stroke-linejoin", "round"},
                        {"stroke-linecap", "round"},
                        {"stroke-dasharray", s.dashed ? "7 5" : "none"}});
    }
  }

  void draw_band(svg_writer& out, std::vector<point> const& run, std::string_view colour) const {
    std::string path;
    auto const corner = [&](point const& p, double y) {
      path += path.empty() ? "M" : " L";
      path += svg_number(x_(p.x)) + ' ' + svg_number(bar_end(y_, y));
    };
    auto const error = [](point const& p) { return has_bar(p.y_error) ? p.y_error : 0; };
    for (auto const& p : run) corner(p, p.y + error(p));
    for (auto p = run.rbegin(); p != run.rend(); ++p) corner(*p, p->y - error(*p));
    out.leaf("path",
             {{"class", "band"}, {"d", path + " Z"}, {"fill", colour}, {"fill-opacity", 0.18}});
  }

  /// The bars of one point as segments: each bar and its two caps.
  [[nodiscard]] std::vector<line_segment> bars(point const& p) const {
    std::vector<line_segment> result;
    if (!visible(p)) return result;
    double const x = x_(p.x);
    double const y = y_(p.y);
    if (has_bar(p.y_error)) {
      double const top = bar_end(y_, p.y + p.y_error);
      double const bottom = bar_end(y_, p.y - p.y_error);
      result.push_back({.x1 = x, .y1 = top, .x2 = x, .y2 = bottom});
      result.push_back({.x1 = x - 4, .y1 = top, .x2 = x + 4, .y2 = top});
      if (y_.scale == scale::linear || p.y - p.y_error > y_.low) {
        result.push_back({.x1 = x - 4, .y1 = bottom, .x2 = x + 4, .y2 = bottom});
      }
    }
    if (has_bar(p.x_error)) {
      double const right = bar_end(x_, p.x + p.x_error);
      double const left = bar_end(x_, p.x - p.x_error);
      result.push_back({.x1 = left, .y1 = y, .x2 = right, .y2 = y});
      result.push_back({.x1 = right, .y1 = y - 4, .x2 = right, .y2 = y + 4});
      if (x_.scale == scale::linear || p.x - p.x_error > x_.low) {
        result.push_back({.x1 = left, .y1 = y - 4, .x2 = left, .y2 = y + 4});
      }
    }
    return result;
  }

  void draw_bars(svg_writer& out, point const& p, std::string_view colour) const {
    std::string path;
    for (auto const& s : bars(p)) {
      path += path.empty() ? "M" : " M";
      path += svg_number(s.x1) + ' ' + svg_number(s.y1) + " L" + svg_number(s.x2) + ' ' +
              svg_number(s.y2);
    }
    if (path.empty()) return;
    out.leaf("path", {{"class", "error"},
                      {"d", path},
                      {"fill", "none"},
                      {"stroke", colour},
                      {"stroke-width", 1.3},
                      {"stroke-opacity", 0.85}});
  }

  [[nodiscard]] std::vector<point> marked(report::series const& s) const {
    std::vector<point> result;
    if (!s.markers) return result;
    std::size_t const every = s.line && s.points.size() > 25 ? s.points.size() / 12 : 1;
    std::size_t drawn = 0;
    for (auto const& p : s.points) {
      if (!visible(p)) continue;
      if (drawn++ % every == 0 || !p.label.empty()) result.push_back(p);
    }
    return result;
  }

  void draw_markers(svg_writer& out, std::size_t index) const {
    if (plot_.series[index].dots) {
      out.open("g",
               {{"class", "series"}, {"fill", colour_of(index)}, {"fill-opacity", dot_opacity}});
      for (auto const& p : marked(plot_.series[index])) draw_dot(out, x_(p.x), y_(p.y));
    } else {
      out.open("g", {{"class", "series"}, {"stroke", "white"}, {"stroke-width", 0.8}});
      for (auto const& p : marked(plot_.series[index])) draw_marker(out, index, x_(p.x), y_(p.y));
    }
    out.close();
  }

  static void draw_dot(svg_writer& out, double x, double y, double radius = 1.6) {
    out.leaf("circle", {{"class", "dot"}, {"cx", x}, {"cy", y}, {"r", radius}});
  }

  /// Shapes have about the same area, so that none looks more important.
  static void draw_marker(svg_writer& out, std::size_t index, double x, double y) {
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
        out.leaf("circle",
                 {{"class", "marker"}, {"cx", x}, {"cy", y}, {"r", 4.6}, {"fill", colour}});
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

  // -- words

  void draw_labels(svg_writer& out) const {
    label_placement places(frame_);
    for (auto const& s : plot_.series) {
      for (auto const& p : marked(s)) {
        places.avoid(
            grown({.left = x_(p.x), .top = y_(p.y), .right = x_(p.x), .bottom = y_(p.y)}, 5));
      }
      for (auto const& p : s.points) {
        if (s.error_band) break;
        for (auto const& bar : bars(p)) places.avoid(bar);
      }
      if (!s.line) continue;
      for (auto const& run : runs(s)) {
        for (std::size_t i = 1; i < run.size(); ++i) {
          places.avoid(line_segment{.x1 = x_(run[i - 1].x),
                                    .y1 = y_(run[i - 1].y),
                                    .x2 = x_(run[i].x),
                                    .y2 = y_(run[i].y)});
        }
      }
    }
    for (std::size_t i = 0; i < plot_.series.size(); ++i) {
      for (auto const& p : plot_.series[i].points) {
        if (p.label.empty() || !visible(p)) continue;
        draw_label(out, places, p, colour_of(i));
      }
    }
  }

  void draw_label(svg_writer& out, label_placement& places, point const& p,
                  std::string_view colour) const {
    double const x = x_(p.x);
    double const y = y_(p.y);
    double const width = text_width(p.label, note_size);
    auto const [area, leader] = places.place(x, y, width, note_size + 2);
    // The end of the text that faces the point is anchored: a font narrower than the estimate then still starts where
    // it should.
    bool const to_right = area.left >= x;
    bool const to_left = area.right <= x;
    if (leader) {
      line_segment const line{.x1 = x,
                              .y1 = y,
                              .x2 = std::clamp(x, area.left, area.right),
                              .y2 = std::clamp(y, area.top, area.bottom)};
      places.avoid(line);
      rule(out, line, colour, 0.7);
    }
    out.text({{"class", "note"},
              {"x", to_right  ? area.left
                    : to_left ? area.right
                              : (area.left + area.right) / 2},
              {"y", area.bottom - 3.5},
              {"font-size", note_size},
              {"fill", plot_.series.size() > 1 ? colour : ink},
              {"stroke", "white"},
              {"stroke-width", 2.5},
              {"stroke-linejoin", "round"},
              {"paint-order", "stroke"},
              {"text-anchor", to_right  ? "start"
                              : to_left ? "end"
                                        : "middle"}},
             p.label);
  }

  // -- legend

  void list_legend() {
    for (std::size_t i = 0; i < plot_.series.size(); ++i) {
      auto const& s = plot_.series[i];
      if (s.name.empty()) continue;
      bool const some =
          std::any_of(s.points.begin(), s.points.end(), [](point const& p) { return drawable(p); });
      legend_.push_back(
          {.name = s.name + (some ? "" : " (not finite)"), .series = i, .horizontal = false});
    }
    for (auto const& line : plot_.horizontals) {
      if (line.label.empty()) continue;
      legend_.push_back({.name = line.label + (drawable(line.y) ? "" : " (not finite)"),
                         .series = 0,
                         .horizontal = true});
    }
  }

  [[nodiscard]] double legend_width() const {
    double widest = 0;
    for (auto const& entry : legend_) widest = std::max(widest, text_width(entry.name, tick_size));
    return legend_.empty() ? 0 : 40 + widest + 12;
  }

  void draw_legend(svg_writer& out) const {
    double const left = plot_.width;
    double y = frame_.top + 10;
    for (auto const& entry : legend_) {
      auto const* s = entry.horizontal ? nullptr : &plot_.series[entry.series];
      if (s == nullptr || s->line) {
        out.leaf("line", {{"x1", left},
                          {"y1", y},
                          {"x2", left + 30},
                          {"y2", y},
                          {"stroke", s == nullptr ? horizontal_ink : colour_of(entry.series)},
                          {"stroke-width", s == nullptr ? 1.4 : 2.0},
                          {"stroke-dasharray", s == nullptr ? "6 4"
                                               : s->dashed  ? "7 5"
                                                            : "none"}});
      }
      if (s != nullptr && s->markers && s->dots) {
        out.open("g", {{"fill", colour_of(entry.series)}});
        draw_dot(out, left + 15, y, 4.0);  // one of the size of those in the cloud shows no colour
        out.close();
      } else if (s != nullptr && s->markers) {
        out.open("g", {{"stroke", "white"}, {"stroke-width", 0.8}});
        draw_marker(out, entry.series, left + 15, y);
        out.close();
      }
      out.text({{"class", "legend"},
                {"x", left + 38},
                {"y", y + 0.35 * tick_size},
                {"font-size", tick_size},
                {"fill", ink}},
               entry.name);
      y += 20;
    }
  }

  static box grown(box b, double by) {
    return {.left = b.left - by, .top = b.top - by, .right = b.right + by, .bottom = b.bottom + by};
  }

  static std::string_view colour_of(std::size_t index) {
    static constexpr std::string_view colours[] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7",
                                                   "#E69F00", "#56B4E9", "#000000"};
    return colours[index % 7];
  }

  static constexpr std::string_view ink = "#222222";
  static constexpr std::string_view frame_ink = "#555555";
  static constexpr std::string_view horizontal_ink = "#6E6E6E";
  static constexpr std::string_view grid = "#E6E6E6";
  static constexpr double tick_size = 12;
  static constexpr double label_size = 13.5;
  static constexpr double note_size = 11;
  static constexpr double dot_opacity = 0.6;

  line_plot const& plot_;
  axis_mapping x_;
  axis_mapping y_;
  axis_ticks x_ticks_;
  axis_ticks y_ticks_;
  box frame_;
  std::vector<legend_entry> legend_;
};

[[nodiscard]] inline std::string svg_of(std::vector<line_plot> const& plots) {
  expects(!plots.empty(), "report::plot_row: needs at least one plot");
  std::vector<plot_panel> panels;
  panels.reserve(plots.size());
  for (auto const& plot : plots) panels.emplace_back(plot);
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

}  // namespace prefer::report
