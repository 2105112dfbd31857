// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <prefer/batch/columns.hpp>
#include <prefer/expects.hpp>

namespace prefer {

/// What is reported of a batch of pairs, as sums over examples, so that batches can be added up before
/// dividing. TRL's names in quotes.
struct pair_metrics {
  sum_and_count reward_chosen = {};    ///< "rewards/chosen": beta * log_ratio, nats
  sum_and_count reward_rejected = {};  ///< "rewards/rejected"
  sum_and_count reward_margin = {};    ///< "rewards/margins": chosen minus rejected
  sum_and_count accuracy = {};         ///< "rewards/accuracies": share of pairs with margin > 0; a tie is a miss

  friend pair_metrics operator+(pair_metrics const& a, pair_metrics const& b) {
    return {a.reward_chosen + b.reward_chosen, a.reward_rejected + b.reward_rejected,
            a.reward_margin + b.reward_margin, a.accuracy + b.accuracy};
  }
};

/// Implicit rewards of a batch of pairs: per example first, then added up in order.
///
///   implicit_reward = beta * (log_prob - reference log_prob), or beta * log_prob without a reference
///
/// Errors  precondition_error for sizes that disagree
[[nodiscard]] inline pair_metrics metrics(pair_columns const& batch, double beta) {
  std::size_t const n = batch.size();
  expects_size(batch.policy.rejected.size(), n, "metrics", "policy.rejected");
  bool const referenced = batch.reference.chosen.present();
  if (referenced || batch.reference.rejected.present()) {
    expects_size(batch.reference.chosen.size(), n, "metrics", "reference.chosen");
    expects_size(batch.reference.rejected.size(), n, "metrics", "reference.rejected");
  }
  if (batch.beta.present()) expects_size(batch.beta.size(), n, "metrics", "beta");
  pair_metrics out;
  for (std::size_t i = 0; i < n; ++i) {
    double const b = batch.beta.present() ? batch.beta[i] : beta;
    double const chosen =
        b * (batch.policy.chosen[i] - (referenced ? batch.reference.chosen[i] : 0.0));
    double const rejected =
        b * (batch.policy.rejected[i] - (referenced ? batch.reference.rejected[i] : 0.0));
    out = out + pair_metrics{{chosen, 1.0}, {rejected, 1.0}, {chosen - rejected, 1.0},
                             {chosen > rejected ? 1.0 : 0.0, 1.0}};
  }
  return out;
}

}  // namespace prefer
