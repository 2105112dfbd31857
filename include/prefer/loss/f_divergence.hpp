// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <type_traits>

#include <prefer/loss/dpo.hpp>
#include <prefer/loss/loss.hpp>
#include <prefer/scalar/scalar.hpp>

namespace prefer::inline v0_1 {

// A score map replaces the log-ratio u of each completion by phi(u) = f'(exp(u)), where f generates the divergence that
// holds the policy near the reference. Any type with `loss_name` and `score(u)` is one. f' has a free constant, which
// cancels in a margin but not per token (ipo, ln_dpo): here phi(0) = 0, a completion as likely as under the reference
// scores 0.

/// KL(reference || policy): phi(u) = 1 - exp(-u).
///
/// Explodes where the policy drops a completion (u << 0): beyond exp(690) in double, exp(75) in float, phi goes on as a
/// straight line.
struct forward_kl {
  static constexpr char const* loss_name = "f_dpo_forward_kl";

  [[nodiscard]] static constexpr auto score(auto const& u) { return -bounded_expm1(-u); }
  static constexpr void hyper_parameters(auto& /*self*/, auto&& /*visit*/) {}
};

/// Jensen-Shannon divergence: phi(u) = log 2 + log sigmoid(u), which saturates for u >> 0.
struct js_divergence {
  static constexpr char const* loss_name = "f_dpo_js";

  [[nodiscard]] static constexpr auto score(auto const& u) {
    return 0.69314718055994530942 + log_sigmoid(u);
  }
  static constexpr void hyper_parameters(auto& /*self*/, auto&& /*visit*/) {}
};

/// Alpha divergence: phi(u) = (exp((coefficient - 1) u) - 1) / (coefficient - 1); phi(u) = u, the reverse KL, at 1.
///
/// The paper's alpha is 1 - coefficient. Exponents above `largest_exponent` are cut to it, with derivative 0, as TRL does
/// at 80; by default none is, and phi goes on as a straight line from exp(690) in double, exp(75) in float.
struct alpha_divergence {
  static constexpr char const* loss_name = "f_dpo_alpha";

  static constexpr double no_cut = 690.0;

  double coefficient = 0.5;
  positive largest_exponent = no_cut;

  [[nodiscard]] constexpr auto score(auto const& u) const {
    using number = std::remove_cvref_t<decltype(u)>;
    double const power = coefficient - 1.0;
    if (power == 0.0) return number(u);
    number const exponent = power * u;
    number const phi = largest_exponent < no_cut ? number(expm1(capped(exponent, largest_exponent)))
                                                 : bounded_expm1(exponent);
    return number(phi / power);
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) {
    visit("coefficient", self.coefficient);
    visit("largest_exponent", self.largest_exponent);
  }
};

/// The losses that have a form for every divergence: those of log-ratios of which only the difference matters. Others
/// read a log-ratio against an absolute target, which the map would shift.
template <class L>
concept TakesScoreMap = PairLoss<L> && requires { requires L::takes_score_map; };

/// f-DPO: a loss of the reward margin with another divergence in place of the reverse KL.
///
///   loss = L on pairs whose log_ratio is phi(log_ratio),  with dpo:
///   loss = softplus(-beta * (phi(log_ratio_chosen) - phi(log_ratio_rejected)))
///
///   f_dpo<forward_kl>{.loss = {.beta = 0.1}}            f_dpo<js_divergence, hinge>{}
///
/// Reads   what L reads
/// Units   those of L
/// Errors  a loss that does not take a score map does not compile
/// Source  Wang et al. 2023, arXiv:2309.16240. Admissible divergences have an invertible f' that is not defined at 0
///         (secondary source)
/// TRL     f_divergence_type with `sigmoid`, `hinge`, `ipo`, `robust`, `exo_pair`, `discopop`, `sigmoid_norm`. With
///         `aot`, `aot_unpaired`, `apo_zero` and half of `apo_down` TRL ignores the option; with `nca_pair`, `bco_pair`
///         and `sppo_hard` it maps scores that those hold against a target made for log-ratios. Neither compiles here
template <class Divergence, PairLoss L = dpo>
struct f_dpo {
  static_assert(TakesScoreMap<L>,
                "prefer: this loss takes no f-divergence: it reads log-ratios themselves, not only "
                "their difference");
  static constexpr std::size_t arity = 2;
  static constexpr char const* name = Divergence::loss_name;

  L loss = {};
  [[no_unique_address]] Divergence divergence = {};

  static constexpr auto parts(auto& self, auto&& visit) { return visit(self.loss); }
  constexpr auto operator()(auto const& pair, auto const& of_scores) const {
    auto mapped = pair;
    mapped.chosen.log_prob = divergence.score(pair.chosen.log_ratio());
    mapped.rejected.log_prob = divergence.score(pair.rejected.log_ratio());
    mapped.chosen.reference_log_prob = 0.0;
    mapped.rejected.reference_log_prob = 0.0;
    return of_scores(mapped);
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) {
    Divergence::hyper_parameters(self.divergence, visit);
  }
};

}  // namespace prefer::inline v0_1
