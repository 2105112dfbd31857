// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <deque>
#include <numeric>
#include <vector>

namespace rlhf_claims {

/// What came of a minimisation.
struct minimum {
  double value = 0.0;
  double steepest = 0.0;  ///< largest absolute partial derivative there
  std::size_t evaluations = 0;
};

/// Minimises a smooth function of few numbers: limited-memory BFGS with the last ten steps and a line search that halves.
/// Ends where no partial derivative is above `flat`, or where doubles have no lower value to go to.
///
/// `f(at, slope)` gives the value and writes the gradient.
/// Source  Nocedal and Wright, Numerical Optimization, 2nd edition, algorithm 7.5
template <class F>
minimum minimise(std::vector<double>& at, F const& f, double flat = 1e-9,
                 std::size_t most_steps = 2000) {
  using vector = std::vector<double>;
  auto const dot = [](vector const& a, vector const& b) {
    return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
  };
  struct move {
    vector step;
    vector change;  // of the gradient
    double curvature;
  };
  std::deque<move> memory;
  vector slope(at.size()), next(at.size()), next_slope(at.size()), direction(at.size());
  minimum out{.value = f(at, slope), .evaluations = 1};
  auto const steepest = [&] {
    double largest = 0.0;
    for (double const each : slope) largest = std::max(largest, std::fabs(each));
    return largest;
  };
  for (std::size_t k = 0; k != most_steps; ++k) {
    out.steepest = steepest();
    if (out.steepest <= flat) return out;
    direction = slope;
    vector share(memory.size());
    for (std::size_t m = memory.size(); m-- != 0;) {
      share[m] = dot(memory[m].step, direction) / memory[m].curvature;
      for (std::size_t i = 0; i != at.size(); ++i) direction[i] -= share[m] * memory[m].change[i];
    }
    double const scale =
        memory.empty() ? 1.0 / std::max(1.0, out.steepest)
                       : memory.back().curvature / dot(memory.back().change, memory.back().change);
    for (double& each : direction) each *= scale;
    for (std::size_t m = 0; m != memory.size(); ++m) {
      double const back = share[m] - dot(memory[m].change, direction) / memory[m].curvature;
      for (std::size_t i = 0; i != at.size(); ++i) direction[i] += back * memory[m].step[i];
    }
    double const descent = dot(direction, slope);
    if (!(descent > 0.0)) {  // by rounding: begin anew along the gradient, or end
      if (memory.empty()) return out;
      memory.clear();
      continue;
    }
    double value = 0.0;
    double length = 1.0;
    for (;; length *= 0.5) {
      for (std::size_t i = 0; i != at.size(); ++i) next[i] = at[i] - length * direction[i];
      value = f(next, next_slope);
      ++out.evaluations;
      if (value <= out.value - 1e-4 * length * descent) break;
      if (length < 1e-12) break;
    }
    if (!(value < out.value)) {
      if (memory.empty()) return out;
      memory.clear();
      continue;
    }
    move made{vector(at.size()), vector(at.size()), 0.0};
    for (std::size_t i = 0; i != at.size(); ++i) {
      made.step[i] = next[i] - at[i];
      made.change[i] = next_slope[i] - slope[i];
    }
    made.curvature = dot(made.step, made.change);
    if (made.curvature > 1e-14 * dot(made.change, made.change)) {
      memory.push_back(std::move(made));
      if (memory.size() > 10) memory.pop_front();
    }
    at.swap(next);
    slope.swap(next_slope);
    out.value = value;
  }
  out.steepest = steepest();
  return out;
}

}  // namespace rlhf_claims
