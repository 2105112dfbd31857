// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <prefer/batch/column_rules.hpp>
#include <prefer/loss/loss.hpp>

namespace prefer::inline v0_1 {

/// Nash-MD: a policy gradient towards winning against a mixture of policy and reference, on tokens of the policy's own
/// samples.
///
///   loss of a token = (beta * constant(log_ratio) - (score - 1/2)) * log_prob
///   score: the probability that the token's completion wins against a sample of the mixture
///
/// An example is one token. The loss of a completion is the sum over its tokens: a batch's mean over completions is the
/// mean over tokens times tokens / completions.
///
/// Reads   policy and reference log_prob of each token, and its score, in [0, 1]; beta per token where given
/// Units   nats; its value means nothing, its gradient is that of the objective
/// Errors  beta <= 0 is refused
/// Source  Munos et al. 2023, arXiv:2312.00886
/// TRL     NashMDTrainer: each token's KL term holds its own log-ratio only, there and here
struct nash_md {
  static constexpr std::size_t arity = 1;
  static constexpr char const* name = "nash_md";
  static constexpr auto example = example_of::token;
  static constexpr batch_meaning batch_means = {.score = score_kind::win_probability};

  positive beta = 0.1;

  constexpr auto operator()(auto const& token) const {
    return (token.beta_or(beta) * value_of(token.log_ratio()) - (token.score - 0.5)) *
           token.log_prob;
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) { visit("beta", self.beta); }
};

}  // namespace prefer::inline v0_1
