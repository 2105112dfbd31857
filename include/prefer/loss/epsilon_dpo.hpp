// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <type_traits>

#include <prefer/loss/dpo.hpp>
#include <prefer/loss/hyper_parameter.hpp>
#include <prefer/loss/loss.hpp>

namespace prefer::inline v0_1 {

namespace detail {

/// 1 where a pair's margin rises all the way from the policy moved towards the reference to the policy moved away from
/// it, -1 where it falls all the way, else 0; without gradient.
struct step_of_margin {
  [[nodiscard]] constexpr auto operator()(auto const& pair) const {
    auto const margin = [](auto const& chosen, auto const& rejected) {
      return value_of(chosen) - value_of(rejected);
    };
    auto const toward =
        margin(pair.chosen.perturbed_toward_log_prob, pair.rejected.perturbed_toward_log_prob);
    auto const here = margin(pair.chosen.log_prob, pair.rejected.log_prob);
    auto const away =
        margin(pair.chosen.perturbed_away_log_prob, pair.rejected.perturbed_away_log_prob);
    auto const rises = select(away > here, 1.0, 0.0) * select(here > toward, 1.0, 0.0);
    auto const falls = select(toward > here, 1.0, 0.0) * select(here > away, 1.0, 0.0);
    return rises - falls;
  }
};

}  // namespace detail

/// epsilon-DPO: each pair's beta follows how its margin would change if the KL penalty did. Any loss of pairs with a beta
/// takes the rule.
///
///   loss = L with beta_i = beta * kept / (1 + perturbation * step_i)
///   step_i  +1 where log_prob_margin rises strictly from the policy nearer the reference, over the policy, to the
///           policy farther from it; -1 where it falls strictly; else 0
///   kept    1 at the start; divided by 1 + perturbation * (mean step of the batch) after each batch
///
/// The policies nearer and farther have the logits theta -+ perturbation * (theta - reference's), token by token. Where
/// policy and reference agree no step is taken. None of it carries a gradient.
///
/// Reads   what L reads; log_prob of the perturbed policies, which a policy over tokens gives; beta per pair where given
/// Units   those of L
/// Keeps   the factor of beta
/// Several processes: the mean step is that of the whole batch
/// Errors  perturbation <= 0 is refused; a loss without a beta, or with several, does not compile; nor one that matches rows
/// Source  Lee et al. 2025, arXiv:2502.13177, and the authors' code, which updates beta by the mean step; the paper takes
///         the mean of the betas (secondary source), the same to first order. The authors' runs have beta 0.01; their
///         label smoothing has no effect, here it is that of L
/// TRL     none
template <PairLoss L = dpo>
struct epsilon_dpo {
  static_assert(HasBeta<L>, "prefer: epsilon_dpo sets the beta of a loss, and this one has none");
  static_assert(!HasBeta<L> || HasOneBeta<L>,
                "prefer: epsilon_dpo sets one beta, and the parts of this loss have several");
  static constexpr std::size_t arity = 2;
  static constexpr char const* name = "epsilon_dpo";
  struct state {
    double factor = 1.0;  // of beta
  };
  struct memory {
    double factor = 1.0;
  };

  L loss = {};
  positive perturbation = 0.01;

  static constexpr auto parts(auto& self, auto&& visit) { return visit(self.loss); }
  [[nodiscard]] constexpr state prepare(auto const& batch, memory& so_far) const {
    double const mean_step = batch.means(detail::step_of_margin{});
    state const now{so_far.factor};
    so_far.factor /= 1.0 + perturbation * mean_step;
    return now;
  }
  constexpr auto operator()(auto const& pair, state const& batch, auto const& at_beta) const {
    auto const step = detail::step_of_margin{}(pair);
    auto adjusted = pair;
    adjusted.pair_beta.present = true;
    using number = std::remove_cvref_t<decltype(adjusted.pair_beta.value)>;
    adjusted.pair_beta.value =
        number(pair.beta_or(beta_of(loss)) * batch.factor / (1.0 + perturbation * step));
    return at_beta(adjusted);
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) {
    visit("perturbation", self.perturbation);
  }
};

}  // namespace prefer::inline v0_1
