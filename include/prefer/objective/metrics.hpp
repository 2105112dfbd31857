// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <prefer/batch/columns.hpp>
#include <prefer/beta/schedule.hpp>
#include <prefer/expects.hpp>
#include <prefer/loss/loss.hpp>

namespace prefer {

/// What is reported of a batch of pairs, as sums over examples, so that batches can be added up before
/// dividing. TRL's names in quotes.
struct pair_metrics {
  sum_and_count reward_chosen = {};    ///< "rewards/chosen": beta * log_ratio, nats
  sum_and_count reward_rejected = {};  ///< "rewards/rejected"
  sum_and_count reward_margin = {};    ///< "rewards/margins": chosen minus rejected
  sum_and_count accuracy =
      {};  ///< "rewards/accuracies": share of pairs with margin > 0; a tie is a miss

  friend pair_metrics operator+(pair_metrics const& a, pair_metrics const& b) {
    return {a.reward_chosen + b.reward_chosen, a.reward_rejected + b.reward_rejected,
            a.reward_margin + b.reward_margin, a.accuracy + b.accuracy};
  }
};

/// How a loss turns log-probabilities into rewards.
struct reward_rule {
  double beta = 1.0;
  bool per_token = false;  ///< of losses without a reference that average over tokens
};

/// The rule of a loss: its beta; per token where it reads lengths and no reference, as SimPO does.
template <Loss L>
[[nodiscard]] constexpr reward_rule reward_rule_of(L const& loss) {
  column_set const read = reads(loss);
  return {beta_of(loss),
          read.contains(column_name::length) && !read.contains(column_name::reference)};
}

/// Implicit rewards of a batch of pairs: per example first, then added up in order.
///
///   implicit_reward = beta * (log_prob - reference log_prob), or beta * log_prob without a reference,
///                     or beta * log_prob / length with rule.per_token
///
/// TRL reports beta * log_ratio for every DPO loss, averaging ones included; and per token for SimPO.
/// Errors  precondition_error for sizes that disagree
[[nodiscard]] inline pair_metrics metrics(pair_columns const& batch, reward_rule rule) {
  std::size_t const n = batch.size();
  expects_size(batch.policy.rejected.size(), n, "metrics", "policy.rejected");
  bool const referenced = batch.reference.chosen.present();
  if (referenced || batch.reference.rejected.present()) {
    expects_size(batch.reference.chosen.size(), n, "metrics", "reference.chosen");
    expects_size(batch.reference.rejected.size(), n, "metrics", "reference.rejected");
  }
  if (batch.beta.present()) expects_size(batch.beta.size(), n, "metrics", "beta");
  if (rule.per_token) {
    expects_size(batch.length.chosen.size(), n, "metrics", "length.chosen");
    expects_size(batch.length.rejected.size(), n, "metrics", "length.rejected");
  }
  auto const reward = [&](column const& policy, column const& reference, column const& length,
                          std::size_t i) {
    double const beta = batch.beta.present() ? batch.beta[i] : rule.beta;
    double const log_ratio = policy[i] - (referenced ? reference[i] : 0.0);
    return beta * (rule.per_token ? log_ratio / length[i] : log_ratio);
  };
  pair_metrics out;
  for (std::size_t i = 0; i < n; ++i) {
    double const chosen =
        reward(batch.policy.chosen, batch.reference.chosen, batch.length.chosen, i);
    double const rejected =
        reward(batch.policy.rejected, batch.reference.rejected, batch.length.rejected, i);
    out = out + pair_metrics{{chosen, 1.0},
                             {rejected, 1.0},
                             {chosen - rejected, 1.0},
                             {chosen > rejected ? 1.0 : 0.0, 1.0}};
  }
  return out;
}

[[nodiscard]] inline pair_metrics metrics(pair_columns const& batch, double beta) {
  return metrics(batch, reward_rule{.beta = beta});
}

}  // namespace prefer
