// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <vector>

#include <prefer/text/utf8.hpp>

namespace prefer::inline v0_1::report {

/// Width of a text set in a sans-serif font of `size`, an estimate on the wide side: no font is loaded here.
[[nodiscard]] inline double text_width(std::string_view text, double size) {
  double ems = 0;
  for (std::size_t at = 0; at < text.size();) {
    auto const c = prefer::text::decode(text, at);
    bool const ascii = c.value < 0x80;
    auto const one_of = [&](std::string_view set) {
      return ascii && set.find(static_cast<char>(c.value)) != std::string_view::npos;
    };
    if (one_of("iljI.,:;'|!")) {
      ems += 0.31;
    } else if (one_of("ftr ()[]/-")) {
      ems += 0.41;
    } else if (one_of("mwMW%@")) {
      ems += 0.95;
    } else if (ascii && c.value >= 'A' && c.value <= 'Z') {
      ems += 0.70;
    } else {
      ems += 0.62 * static_cast<double>(prefer::text::display_width(c.value));
    }
    at += c.bytes;
  }
  return ems * size;
}

/// An upright rectangle in drawing units, y downwards.
struct box {
  double left = 0;
  double top = 0;
  double right = 0;
  double bottom = 0;
};

struct line_segment {
  double x1 = 0;
  double y1 = 0;
  double x2 = 0;
  double y2 = 0;
};

/// Area that two boxes share.
[[nodiscard]] constexpr double overlap(box const& a, box const& b) {
  double const width = std::min(a.right, b.right) - std::max(a.left, b.left);
  double const height = std::min(a.bottom, b.bottom) - std::max(a.top, b.top);
  return width > 0 && height > 0 ? width * height : 0;
}

/// Whether some part of the segment lies inside the box, by cutting the segment at each of the four edges.
[[nodiscard]] constexpr bool crosses(line_segment const& s, box const& b) {
  double enter = 0;
  double leave = 1;
  auto const cut = [&](double from, double along, double low, double high) {
    if (along == 0) return from > low && from < high;
    double const a = (low - from) / along;
    double const z = (high - from) / along;
    enter = std::max(enter, std::min(a, z));
    leave = std::min(leave, std::max(a, z));
    return enter < leave;
  };
  return cut(s.x1, s.x2 - s.x1, b.left, b.right) && cut(s.y1, s.y2 - s.y1, b.top, b.bottom);
}

/// Finds places for labels beside their points, one after the other: of 8 directions at 3 distances, the one that hides
/// the least. What is placed stays, so the result depends on the order, and is the same every time.
class label_placement {
 public:
  struct placed {
    box area = {};
    bool leader = false;  // far enough from its point to need a line to it
  };

  explicit label_placement(box frame) : frame_(frame) {}
  void avoid(box area) { boxes_.push_back(area); }
  void avoid(line_segment segment) { segments_.push_back(segment); }

  [[nodiscard]] placed place(double x, double y, double width, double height) {
    placed best;
    double least = -1;
    for (double const distance : {8.0, 17.0, 30.0}) {
      for (auto const& d : directions) {
        auto const area = at(x + d.x * distance, y + d.y * distance, d, width, height);
        double const cost = cost_of(area) + distance + d.cost;
        if (least >= 0 && cost >= least) continue;
        least = cost;
        best = {.area = area, .leader = distance > 10};
      }
    }
    labels_.push_back(best.area);
    return best;
  }

 private:
  struct direction {
    double x, y, cost;
  };
  static constexpr direction directions[] = {{1, 0, 0},  {0.7, -0.7, 1},  {0.7, 0.7, 1},
                                             {-1, 0, 2}, {-0.7, -0.7, 3}, {-0.7, 0.7, 3},
                                             {0, -1, 2}, {0, 1, 2}};

  static box at(double x, double y, direction d, double width, double height) {
    double const left = d.x > 0 ? x : d.x < 0 ? x - width : x - width / 2;
    double const top = d.y > 0.8 ? y : d.y < -0.8 ? y - height : y - height / 2;
    return {.left = left, .top = top, .right = left + width, .bottom = top + height};
  }

  [[nodiscard]] double cost_of(box const& area) const {
    double const size = (area.right - area.left) * (area.bottom - area.top);
    double cost = 400 * (1 - overlap(area, frame_) / size);
    for (auto const& other : labels_)
      cost += 300 * (overlap(area, other) > 0) + 300 * overlap(area, other) / size;
    for (auto const& other : boxes_) cost += 120 * (overlap(area, other) > 0);
    for (auto const& segment : segments_) cost += 25 * crosses(segment, area);
    return cost;
  }

  box frame_;
  std::vector<box> boxes_;
  std::vector<box> labels_;
  std::vector<line_segment> segments_;
};

}  // namespace prefer::inline v0_1::report
