// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>

#include <prefer/batch/columns.hpp>
#include <prefer/expects.hpp>
#include <prefer/metrics/correlation.hpp>
#include <prefer/metrics/rewards.hpp>

namespace prefer {

/// How a reference and the untrained policy see the same pairs: the margins z before the first step.
///
/// A heuristic. A stronger model is not a better reference for being stronger: in the experiments of the
/// source, a strong relative of the policy helped, with a much larger beta, and a much stronger model of
/// another family hurt one policy and helped another. What these numbers tell is how far training begins from
/// where it would with the policy as its own reference (z = 0, correlation 1), and so how large beta must be
/// for z to be of order 1. Try two values of beta, 10 apart, before trusting any of it.
///
/// Source  Liu, Liu, Cohan 2024, "Understanding Reference Policies in Direct Preference Optimization",
///         arXiv:2407.13709, for the experiments; the choice of statistics is ours
struct reference_compatibility {
  correlation margins =
      {};  ///< log_prob_margin under the reference (x) and under the policy (y), nats
  correlation start = {};       ///< the margin z (x), beta in it; y repeats it
  sum_and_count accuracy = {};  ///< share of pairs with z > 0; a tie is a miss
  sum_and_count reference_accuracy =
      {};                              ///< share of pairs that the reference has in the right order
  sum_and_count policy_accuracy = {};  ///< share of pairs that the policy has in the right order

  [[nodiscard]] double mean_margin() const { return start.mean_x(); }            ///< E[z], nats
  [[nodiscard]] double margin_deviation() const { return start.deviation_x(); }  ///< sd[z], nats
  /// Of the two margins: 1 for the policy's own copy; NaN where one of them does not vary.
  [[nodiscard]] double margin_correlation() const { return margins.value(); }

  friend reference_compatibility operator+(reference_compatibility const& a,
                                           reference_compatibility const& b) {
    return {a.margins + b.margins, a.start + b.start, a.accuracy + b.accuracy,
            a.reference_accuracy + b.reference_accuracy, a.policy_accuracy + b.policy_accuracy};
  }
};

/// Compatibility on a batch of pairs, scored before the first step.
///
/// Errors  precondition_error for sizes that disagree, and without a reference
[[nodiscard]] inline reference_compatibility compatibility_of(pair_columns const& batch,
                                                              reward_rule rule) {
  expects(batch.reference.present(), "compatibility_of: it compares with a reference; give one");
  detail::pair_rewards const reward(batch, rule, "compatibility_of");
  auto const share = [](double margin) { return sum_and_count{margin > 0.0 ? 1.0 : 0.0, 1.0}; };
  reference_compatibility out;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    double const z = reward.chosen(i) - reward.rejected(i);
    double const reference = batch.reference.chosen[i] - batch.reference.rejected[i];
    double const policy = batch.policy.chosen[i] - batch.policy.rejected[i];
    out.margins.add(reference, policy);
    out.start.add(z, z);
    out.accuracy = out.accuracy + share(z);
    out.reference_accuracy = out.reference_accuracy + share(reference);
    out.policy_accuracy = out.policy_accuracy + share(policy);
  }
  return out;
}

}  // namespace prefer
