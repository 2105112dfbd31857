// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <prefer/report/axis.hpp>
#include <prefer/report/label_placement.hpp>
#include <prefer/report/marker.hpp>
#include <prefer/report/plot_layout.hpp>
#include <prefer/report/series.hpp>
#include <prefer/report/svg.hpp>

namespace prefer::inline v0_1::report {

struct legend_entry {
  std::string name;
  std::size_t series;  // index of its style
  bool horizontal;
  bool operator==(legend_entry const&) const = default;
};

/// One plot in a picture. All about it is known before the first element is written.
///
/// Errors  of line_plot
class plot_panel {
 public:
  explicit plot_panel(plot_content const& plot) : plot_(plot), at_(layout_of(plot)) {
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
    box const cut = grown(at_.frame, 2);
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
  // -- axes

  void draw_axes(svg_writer& out) const {
    double const middle = (at_.frame.left + at_.frame.right) / 2;
    double const centre = (at_.frame.top + at_.frame.bottom) / 2;
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
    for (double const tick : at_.x_ticks.values) {
      rule(out, {.x1 = at_.x(tick), .y1 = at_.frame.top, .x2 = at_.x(tick), .y2 = at_.frame.bottom},
           grid, 1);
    }
    for (double const tick : at_.y_ticks.values) {
      rule(out, {.x1 = at_.frame.left, .y1 = at_.y(tick), .x2 = at_.frame.right, .y2 = at_.y(tick)},
           grid, 1);
    }
    for (double const tick : at_.x_ticks.minor) {
      rule(out,
           {.x1 = at_.x(tick),
            .y1 = at_.frame.bottom,
            .x2 = at_.x(tick),
            .y2 = at_.frame.bottom + 3},
           frame_ink, 0.8);
    }
    for (double const tick : at_.y_ticks.minor) {
      rule(out,
           {.x1 = at_.frame.left - 3, .y1 = at_.y(tick), .x2 = at_.frame.left, .y2 = at_.y(tick)},
           frame_ink, 0.8);
    }
    out.leaf("rect", {{"class", "frame"},
                      {"x", at_.frame.left},
                      {"y", at_.frame.top},
                      {"width", at_.frame.right - at_.frame.left},
                      {"height", at_.frame.bottom - at_.frame.top},
                      {"fill", "none"},
                      {"stroke", frame_ink},
                      {"stroke-width", 1.0}});
    draw_tick_labels(out);
    if (!plot_.x.label.empty()) {
      out.text({{"class", "x-label"},
                {"x", middle},
                {"y", at_.frame.bottom + 41},
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
    std::vector<std::size_t> order(at_.x_ticks.values.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(),
              [&](auto a, auto b) { return at_.x_ticks.values[a] < at_.x_ticks.values[b]; });
    for (std::size_t const i : order) {
      double const x = at_.x(at_.x_ticks.values[i]);
      rule(out, {.x1 = x, .y1 = at_.frame.bottom, .x2 = x, .y2 = at_.frame.bottom + 5}, frame_ink,
           1);
      double const half = text_width(at_.x_ticks.labels[i], tick_size) / 2;
      if (x - half < free_from) continue;
      free_from = x + half + 5;
      out.text({{"class", "x-tick"},
                {"x", x},
                {"y", at_.frame.bottom + 19},
                {"font-size", tick_size},
                {"fill", ink},
                {"text-anchor", "middle"}},
               at_.x_ticks.labels[i]);
    }
    for (std::size_t i = 0; i < at_.y_ticks.values.size(); ++i) {
      double const y = at_.y(at_.y_ticks.values[i]);
      rule(out, {.x1 = at_.frame.left - 5, .y1 = y, .x2 = at_.frame.left, .y2 = y}, frame_ink, 1);
      out.text({{"class", "y-tick"},
                {"x", at_.frame.left - 8},
                {"y", y + 0.35 * tick_size},
                {"font-size", tick_size},
                {"fill", ink},
                {"text-anchor", "end"}},
               at_.y_ticks.labels[i]);
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
    return drawable(p) && at_.x.holds(p.x) && at_.y.holds(p.y);
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
                      {"x1", at_.frame.left},
                      {"y1", at_.y(line.y)},
                      {"x2", at_.frame.right},
                      {"y2", at_.y(line.y)},
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
        path += svg_number(at_.x(p.x)) + ' ' + svg_number(at_.y(p.y));
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
      path += svg_number(at_.x(p.x)) + ' ' + svg_number(bar_end(at_.y, y));
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
    double const x = at_.x(p.x);
    double const y = at_.y(p.y);
    if (has_bar(p.y_error)) {
      double const top = bar_end(at_.y, p.y + p.y_error);
      double const bottom = bar_end(at_.y, p.y - p.y_error);
      result.push_back({.x1 = x, .y1 = top, .x2 = x, .y2 = bottom});
      result.push_back({.x1 = x - 4, .y1 = top, .x2 = x + 4, .y2 = top});
      if (at_.y.scale == scale::linear || p.y - p.y_error > at_.y.low) {
        result.push_back({.x1 = x - 4, .y1 = bottom, .x2 = x + 4, .y2 = bottom});
      }
    }
    if (has_bar(p.x_error)) {
      double const right = bar_end(at_.x, p.x + p.x_error);
      double const left = bar_end(at_.x, p.x - p.x_error);
      result.push_back({.x1 = left, .y1 = y, .x2 = right, .y2 = y});
      result.push_back({.x1 = right, .y1 = y - 4, .x2 = right, .y2 = y + 4});
      if (at_.x.scale == scale::linear || p.x - p.x_error > at_.x.low) {
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
      for (auto const& p : marked(plot_.series[index])) draw_dot(out, at_.x(p.x), at_.y(p.y));
    } else {
      out.open("g", {{"class", "series"}, {"stroke", "white"}, {"stroke-width", 0.8}});
      for (auto const& p : marked(plot_.series[index]))
        draw_marker(out, index, at_.x(p.x), at_.y(p.y));
    }
    out.close();
  }

  // -- words

  void draw_labels(svg_writer& out) const {
    label_placement places(at_.frame);
    for (auto const& s : plot_.series) {
      for (auto const& p : marked(s)) {
        places.avoid(grown(
            {.left = at_.x(p.x), .top = at_.y(p.y), .right = at_.x(p.x), .bottom = at_.y(p.y)}, 5));
      }
      for (auto const& p : s.points) {
        if (s.error_band) break;
        for (auto const& bar : bars(p)) places.avoid(bar);
      }
      if (!s.line) continue;
      for (auto const& run : runs(s)) {
        for (std::size_t i = 1; i < run.size(); ++i) {
          places.avoid(line_segment{.x1 = at_.x(run[i - 1].x),
                                    .y1 = at_.y(run[i - 1].y),
                                    .x2 = at_.x(run[i].x),
                                    .y2 = at_.y(run[i].y)});
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
    double const x = at_.x(p.x);
    double const y = at_.y(p.y);
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
      legend_.push_back({.name = legend_name(s.name, some), .series = i, .horizontal = false});
    }
    for (auto const& line : plot_.horizontals) {
      if (line.label.empty()) continue;
      legend_.push_back(
          {.name = legend_name(line.label, drawable(line.y)), .series = 0, .horizontal = true});
    }
  }

  [[nodiscard]] double legend_width() const {
    double widest = 0;
    for (auto const& entry : legend_) widest = std::max(widest, text_width(entry.name, tick_size));
    return legend_.empty() ? 0 : 40 + widest + 12;
  }

  void draw_legend(svg_writer& out) const {
    double const left = plot_.width;
    double y = at_.frame.top + 10;
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

  static constexpr std::string_view ink = "#222222";
  static constexpr std::string_view frame_ink = "#555555";
  static constexpr std::string_view horizontal_ink = "#6E6E6E";
  static constexpr std::string_view grid = "#E6E6E6";
  static constexpr double dot_opacity = 0.6;

  plot_content plot_;
  plot_layout at_;
  std::vector<legend_entry> legend_;
};

}  // namespace prefer::inline v0_1::report
