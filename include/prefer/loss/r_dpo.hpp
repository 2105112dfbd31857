// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <prefer/batch/column_rules.hpp>
#include <prefer/loss/loss.hpp>

namespace prefer::inline v0_1 {

/// Length-regularised DPO: longer chosen completions have to be better.
///
///   loss = softplus(-(beta * log_ratio_margin + alpha * (length_chosen - length_rejected)))
///
/// For alpha > 0 the chosen completion is credited with its length, so that the policy need not learn it. Nothing changes
/// at inference.
///
/// Reads   policy and reference log_prob and the length of both completions; beta per pair where given
/// Units   nats; alpha in nats per token
/// Errors  beta <= 0 is refused
/// Source  Park et al. 2024, arXiv:2403.19159 (secondary source: reproductions; the authors released no code). The default
///         alpha is that of one of them; one other has the sign the other way round
/// TRL     none
struct r_dpo {
  static constexpr std::size_t arity = 2;
  static constexpr char const* name = "r_dpo";
  static constexpr batch_meaning batch_means = {.divides_by_length = false};

  positive beta = 0.1;
  double alpha = 0.01;

  constexpr auto operator()(auto const& pair) const {
    auto const longer = pair.chosen.completion_length - pair.rejected.completion_length;
    return softplus(-(pair.beta_or(beta) * pair.log_ratio_margin() + alpha * longer));
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) {
    visit("beta", self.beta);
    visit("alpha", self.alpha);
  }
};

}  // namespace prefer::inline v0_1
