// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <prefer/loss/loss.hpp>

namespace prefer::inline v0_1 {

/// Hinge loss on the reward margin.
///
///   loss = max(0, 1 - beta * (log_ratio_chosen - log_ratio_rejected))
///
/// Reads   policy and reference log_prob of both completions; beta per pair where given
/// Units   nats in; the margin is 1 / beta nats of log-ratio
/// Errors  beta <= 0 is refused
/// Source  Zhao et al. 2023 (SLiC), arXiv:2305.10425, normalised by the reference as in Liu et al. 2023
///         (RSO), arXiv:2309.06657
/// TRL     DPOTrainer `hinge`. The coefficient at the kink is 0 in both.
struct hinge {
  static constexpr std::size_t arity = 2;
  static constexpr char const* name = "hinge";
  static constexpr bool takes_score_map = true;

  positive beta = 0.1;

  constexpr auto operator()(auto const& pair) const {
    return relu(1.0 - pair.beta_or(beta) * pair.log_ratio_margin());
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) { visit("beta", self.beta); }
};

}  // namespace prefer::inline v0_1
