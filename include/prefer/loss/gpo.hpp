// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <prefer/loss/loss.hpp>

namespace prefer::inline v0_1 {

/// Generalized Preference Optimization: any convex link of the reward margin.
///
///   loss = link(z),  z = beta * log_ratio_margin
///
/// Link    a struct with `name` and a static function `of(z)`. The logistic link is dpo, the hinge link is hinge
///
/// Reads   policy and reference log_prob of both completions; beta per pair where given
/// Units   those of the link
/// Errors  beta <= 0 is refused
/// Source  Tang et al. 2024, arXiv:2402.05749
/// TRL     none of these four links; `sigmoid` and `hinge` are the other two
template <class Link>
struct gpo {
  static constexpr std::size_t arity = 2;
  static constexpr char const* name = Link::name;
  static constexpr bool takes_score_map = true;

  positive beta = 0.1;

  constexpr auto operator()(auto const& pair) const {
    return Link::of(pair.beta_or(beta) * pair.log_ratio_margin());
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) { visit("beta", self.beta); }
};

/// (1 - z)^2. With beta = 2 tau it is 4 tau^2 times ipo_sum.
struct squared_link {
  static constexpr char const* name = "gpo_squared";
  static constexpr auto of(auto const& z) { return square(1.0 - z); }
};
/// exp(-z).
struct exponential_link {
  static constexpr char const* name = "gpo_exponential";
  static constexpr auto of(auto const& z) { return exp(-z); }
};
/// max(0, 1 - z)^2.
struct truncated_quadratic_link {
  static constexpr char const* name = "gpo_truncated_quadratic";
  static constexpr auto of(auto const& z) { return square(relu(1.0 - z)); }
};
/// sigmoid(-z)^2, which is not convex.
struct savage_link {
  static constexpr char const* name = "gpo_savage";
  static constexpr auto of(auto const& z) { return square(sigmoid(-z)); }
};

using gpo_squared = gpo<squared_link>;
using gpo_exponential = gpo<exponential_link>;
using gpo_truncated_quadratic = gpo<truncated_quadratic_link>;
using gpo_savage = gpo<savage_link>;

}  // namespace prefer::inline v0_1
