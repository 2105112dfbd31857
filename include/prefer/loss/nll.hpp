// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <prefer/loss/loss.hpp>

namespace prefer {

/// Negative log-likelihood of the chosen completion, summed over its tokens: supervised fine-tuning, or a
/// term that keeps chosen completions likely, as in dpo{} + 0.1 * nll{}.
///
///   loss = -log_prob_chosen
///
/// Reads   policy log_prob of the chosen completion
/// Units   nats
/// Source  maximum likelihood. As a DPO term: Pang et al. 2024, arXiv:2404.19733 (per token: nll_per_token)
/// TRL     `sft` divides by the tokens of the whole device batch instead; neither form here depends on
///         what else is in the batch.
struct nll {
  static constexpr std::size_t arity = 2;
  static constexpr char const* name = "nll";

  constexpr auto operator()(auto const& pair) const { return -pair.chosen.log_prob; }
};

/// Negative log-likelihood of the chosen completion per token.
///
///   loss = -log_prob_chosen / length_chosen
///
/// Reads   policy log_prob and length of the chosen completion
/// Units   nats per token
/// Errors  a length of zero makes a non-finite loss (see diagnose)
/// Source  Pang et al. 2024, eq. 1, arXiv:2404.19733
struct nll_per_token {
  static constexpr std::size_t arity = 2;
  static constexpr char const* name = "nll_per_token";

  constexpr auto operator()(auto const& pair) const { return -pair.chosen.mean_log_prob(); }
};

}  // namespace prefer
