// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "laws/subject.hpp"

namespace prefer::test {

/// A solved problem whose example i is what the formula sees for the values and coefficients in it: the same, but for
/// losses that put rows together in their own way.
template <class T>
problem<T> as_the_formula_sees(law_subject const& loss, problem<T> const& solved) {
  if (!loss.matches) return solved;
  auto const order = loss.match(problem<double>(loss.shape, solved.size(), solved.drawn));
  problem<T> out = solved;
  auto const in_order = [](std::vector<T> const& from, std::vector<std::uint32_t> const& rows) {
    std::vector<T> to = from;
    for (std::size_t i = 0; i < rows.size(); ++i) to[i] = from[rows[i]];
    return to;
  };
  auto& [chosen, rejected] = out.side;
  rejected.policy = in_order(rejected.policy, order.rejected);
  rejected.coefficient = in_order(rejected.coefficient, order.rejected);
  chosen.reference = in_order(chosen.reference, order.reference);
  // The reference of a rejected completion follows the pair's reference, or else the completion.
  rejected.reference =
      in_order(rejected.reference, order.reference.empty() ? order.rejected : order.reference);
  return out;
}

/// What one rounding anywhere in a formula can do to the results, for each unit of relative precision.
///
/// A number that is rounded is at most as large as the log-probabilities that it comes from, or a constant of the
/// formula: targets and margins of 1 / beta = 10 nats at most. So the value moves by its own size, or by that of
/// coefficient * (log-probabilities + 10), and a coefficient by its own size or by second derivative *
/// (log-probabilities + 10). Second derivatives are differences of first ones; some digits are enough here.
struct sensitivity {
  double value = 0.0;
  std::vector<double> coefficient;
};
[[nodiscard]] inline sensitivity sensitivity_of(law_subject const& loss,
                                                problem<double> const& solved,
                                                law_subject::numbers const& state, std::size_t i) {
  long double const h = 0x1p-12L * solved.shape.unit;
  auto const coefficients = [&](std::size_t j, long double by_j) {
    movement by{};
    by[j] = by_j;
    return loss.derivatives(solved, state, i, by);
  };
  auto const size = [&](std::size_t k) {
    return solved.magnitude_of(i, k) + 10.0 * solved.shape.unit;
  };
  sensitivity out{.value = std::fabs(solved.value[i]), .coefficient = {}};
  for (std::size_t k = 0; k < solved.moves(i); ++k) {
    double const own = std::fabs(solved.coefficient_of(i, k));
    out.value += own * size(k);
    out.coefficient.push_back(own);
  }
  for (std::size_t j = 0; j < solved.moves(i); ++j) {
    auto const above = coefficients(j, h);
    auto const below = coefficients(j, -h);
    for (std::size_t k = 0; k < solved.moves(i); ++k) {
      out.coefficient[k] += std::fabs(above[k] - below[k]) / (2 * double(h)) * size(j);
    }
  }
  return out;
}

}  // namespace prefer::test
