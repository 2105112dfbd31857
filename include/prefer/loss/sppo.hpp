// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <prefer/batch/column_rules.hpp>
#include <prefer/loss/loss.hpp>

namespace prefer::inline v0_1 {

/// Self-Play Preference Optimization with hard labels: log-ratios are regressed to +-1 / (2 beta).
///
///   loss = (log_ratio_chosen - 1 / (2 beta))^2 + (log_ratio_rejected + 1 / (2 beta))^2
///
/// Reads   policy and reference log_prob of both completions; beta per pair where given
/// Units   nats in, squared nats out. beta is 1 / eta of the paper; the authors' script has 0.001
/// Errors  beta <= 0 is refused
/// Source  Wu et al. 2024, arXiv:2405.00675, with probabilities of 1 and 0
/// TRL     DPOTrainer `sppo_hard`. The authors halve it; TRL and this do not
struct sppo_hard {
  static constexpr std::size_t arity = 2;
  static constexpr char const* name = "sppo_hard";

  positive beta = 0.1;

  constexpr auto operator()(auto const& pair) const {
    auto const target = 0.5 / pair.beta_or(beta);
    return square(pair.chosen.log_ratio() - target) + square(pair.rejected.log_ratio() + target);
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) { visit("beta", self.beta); }
};

/// Self-Play Preference Optimization: log-ratios are regressed to estimated win probabilities.
///
///   loss = ((log_ratio_chosen - (P_chosen - 1/2) / beta)^2 + (log_ratio_rejected - (P_rejected - 1/2) / beta)^2) / 2
///
/// Reads   policy and reference log_prob of both completions; score: P, each completion's probability of winning
///         against the policy, in [0, 1]; beta per pair where given
/// Units   nats in, squared nats out
/// Errors  beta <= 0 is refused
/// Source  Wu et al. 2024, eq. 4.7, and the authors' code, arXiv:2405.00675
/// TRL     none
struct sppo_soft {
  static constexpr std::size_t arity = 2;
  static constexpr char const* name = "sppo_soft";
  static constexpr batch_meaning batch_means = {.score = score_kind::win_probability};

  positive beta = 0.1;

  constexpr auto operator()(auto const& pair) const {
    auto const miss = [b = pair.beta_or(beta)](auto const& y) {
      return square(y.log_ratio() - (y.score - 0.5) / b);
    };
    return 0.5 * (miss(pair.chosen) + miss(pair.rejected));
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) { visit("beta", self.beta); }
};

}  // namespace prefer::inline v0_1
