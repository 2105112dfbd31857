// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <concepts>
#include <cstdint>
#include <numbers>

#include <prefer/loss/loss.hpp>

namespace prefer {

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

  [[nodiscard]] constexpr double operator()(std::uint64_t /*step*/) const { return beta; }
};

/// From one beta to another over a number of steps, then constant.
///
///   beta = from + (to - from) * min(step / steps, 1)
struct linear_beta {
  positive from;
  positive to;
  std::uint64_t steps = 1;

  [[nodiscard]] constexpr double operator()(std::uint64_t step) const {
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
    if (step >= steps) return to;
    double const t = static_cast<double>(step) / static_cast<double>(steps);
    return to + (from - to) * 0.5 * (1.0 + std::cos(std::numbers::pi * t));
  }
};

namespace detail {

constexpr bool is_beta(char const* name) {
  return name[0] == 'b' && name[1] == 'e' && name[2] == 't' && name[3] == 'a' && name[4] == '\0';
}

/// Calls visit(name, value) for each hyper-parameter; nothing for a loss that names none.
template <class L, class Visit>
constexpr void visit_parameters(L& loss, Visit&& visit) {
  if constexpr (requires { std::remove_const_t<L>::parameters(loss, visit); }) {
    std::remove_const_t<L>::parameters(loss, visit);
  }
}

}  // namespace detail

/// Sets beta in a loss and in every part of a composed one; returns how many were set.
template <Loss L>
constexpr int set_beta(L& loss, double beta) {
  int count = 0;
  detail::visit_parameters(loss, [&](char const* name, auto& value) {
    if (!detail::is_beta(name)) return;
    value = beta;
    ++count;
  });
  return count;
}

/// The beta of a loss, or of the first part that has one; 1 for a loss without beta.
template <Loss L>
[[nodiscard]] constexpr double beta_of(L const& loss) {
  double beta = 1.0;
  bool found = false;
  detail::visit_parameters(loss, [&](char const* name, auto const& value) {
    if (found || !detail::is_beta(name)) return;
    beta = value;
    found = true;
  });
  return beta;
}

}  // namespace prefer
