// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <prefer/loss/loss.hpp>

namespace prefer::inline v0_1 {

/// Negative log-likelihood of the chosen completion, summed over its tokens: supervised fine-tuning, or a
/// term that keeps chosen completions likely, as in dpo{} + 0.1 * nll{}.
///
///   loss = -log_prob_chosen
///
/// Reads   policy log_prob of the chosen completion
/// Units   nats
/// Source  maximum likelihood. As a DPO term: Pang et al. 2024, arXiv:2404.19733 (per token: nll_per_token)
/// TRL     `sft` divides by the tokens of the whole batch: nll_per_batch_token
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
/// Source  Pang et al. 2024, arXiv:2404.19733
/// TRL     none; `sft` is nll_per_batch_token
struct nll_per_token {
  static constexpr std::size_t arity = 2;
  static constexpr char const* name = "nll_per_token";

  constexpr auto operator()(auto const& pair) const { return -pair.chosen.mean_log_prob(); }
};

namespace detail {

/// What statistics are of has a name: a device's compiler takes no lambda of the host.
struct length_of_chosen {
  constexpr auto operator()(auto const& pair) const { return pair.chosen.completion_length; }
};

}  // namespace detail

/// Negative log-likelihood of the chosen completions per token of the batch: long completions count more, and a pair's
/// loss depends on the others.
///
///   loss = -log_prob_chosen * B / tokens,  so that its mean is -(sum of log_prob_chosen) / tokens
///
/// Reads   policy log_prob of the chosen completions; all their lengths
/// Units   nats per token
/// Several processes: tokens and pairs are added up, so the mean over processes is that of the whole batch
/// Errors  a batch of no tokens makes a non-finite loss (see diagnose)
/// TRL     `sft`, and the NLL term of CPOTrainer, TPOTrainer and ORPOTrainer (which counts prompt tokens too), where the
///         batch is that of one device
struct nll_per_batch_token {
  static constexpr std::size_t arity = 2;
  static constexpr char const* name = "nll_per_batch_token";
  static constexpr bool rewards_per_token = false;
  struct state {
    double tokens_per_pair = 1.0;
  };

  [[nodiscard]] constexpr state prepare(auto const& batch, nothing&) const {
    return {batch.means(detail::length_of_chosen{})};
  }
  constexpr auto operator()(auto const& pair, state const& batch) const {
    return -pair.chosen.log_prob / batch.tokens_per_pair;
  }
};

/// Negative log-likelihood of the first completion of a list, the best one, per token.
///
///   loss = -log_prob_first / length_first
///
/// Reads   policy log_prob and length of the first completion
/// Units   nats per token
/// Source  the term of Yuan et al. 2023 (RRHF), arXiv:2304.05302, and others
struct nll_of_best {
  static constexpr std::size_t arity = dynamic_arity;
  static constexpr char const* name = "nll_of_best";

  constexpr auto operator()(auto const& list) const { return -list[0].mean_log_prob(); }
};

}  // namespace prefer::inline v0_1
