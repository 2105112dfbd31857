// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <concepts>
#include <cstdint>
#include <numbers>

#include <prefer/bounded.hpp>
#include <prefer/loss/hyper_parameter.hpp>

namespace prefer::inline v0_1 {

/// A rule that gives beta at each step, counted from 0.
template <class Rule>
concept BetaRule = requires(Rule const& rule, std::uint64_t step) {
  { rule(step) } -> std::convertible_to<double>;
};

/// The loss keeps the beta that it was made with.
struct beta_of_the_loss {};

/// The same beta at every step.
struct constant_beta {
  positive beta;

  [[nodiscard]] constexpr double operator()(std::uint64_t /*step*/) const {
    expects_in_range(beta, "constant_beta", "beta");
    return beta;
  }
};

/// From one beta to another over a number of steps, then constant.
///
///   beta = from + (to - from) * min(step / steps, 1)
struct linear_beta {
  positive from;
  positive to;
  std::uint64_t steps = 1;

  [[nodiscard]] constexpr double operator()(std::uint64_t step) const {
    expects_in_range(from, "linear_beta", "from");
    expects_in_range(to, "linear_beta", "to");
    if (step >= steps) return to;
    return from + (to - from) * static_cast<double>(step) / static_cast<double>(steps);
  }
};

/// From one beta to another along half a cosine, then constant.
///
///   beta = to + (from - to) * (1 + cos(pi * min(step / steps, 1))) / 2
struct cosine_beta {
  positive from;
  positive to;
  std::uint64_t steps = 1;

  [[nodiscard]] double operator()(std::uint64_t step) const {
    expects_in_range(from, "cosine_beta", "from");
    expects_in_range(to, "cosine_beta", "to");
    if (step >= steps) return to;
    double const t = static_cast<double>(step) / static_cast<double>(steps);
    return to + (from - to) * 0.5 * (1.0 + std::cos(std::numbers::pi * t));
  }
};

}  // namespace prefer::inline v0_1
