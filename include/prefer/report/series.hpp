// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include <prefer/report/axis.hpp>

namespace prefer::inline v0_1::report {

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
  bool markers = true;  // of more than 25 points, about every twelfth carries one
  bool dots = false;    // markers are small translucent dots, for clouds of many points
  bool dashed = false;
  bool error_band = false;  // y_error as a shaded band instead of bars
};

/// A level to compare with, such as chance or the score of the reference, as a dashed grey line.
struct horizontal_line {
  double y = 0;
  std::string label = {};  // in the legend
};

[[nodiscard]] inline bool drawable(point const& p) { return drawable(p.x) && drawable(p.y); }

/// Runs of drawable points: the line is broken between them.
[[nodiscard]] inline std::vector<std::vector<point>> runs(series const& s) {
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

/// How the legend names what was drawn, or has no place on any axis.
[[nodiscard]] inline std::string legend_name(std::string const& name, bool drawn) {
  return name + (drawn ? "" : " (not finite)");
}

}  // namespace prefer::inline v0_1::report
