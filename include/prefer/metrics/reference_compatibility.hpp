// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <type_traits>

#include <prefer/batch/columns.hpp>
#include <prefer/expects.hpp>
#include <prefer/metrics/correlation.hpp>
#include <prefer/metrics/rewards.hpp>

namespace prefer::inline v0_1 {

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

namespace detail {

/// The margin of log-probabilities under the reference, and under the policy.
struct margins_of_pair {
  constexpr auto operator()(auto const& pair) const {
    auto const policy = pair.log_prob_margin();
    using S = std::remove_const_t<decltype(policy)>;
    return std::array<S, 2>{S(pair.chosen.reference_log_prob - pair.rejected.reference_log_prob),
                            policy};
  }
};
/// z, and z again: a correlation is of two numbers.
struct margin_twice {
  reward_rule rule;

  constexpr auto operator()(auto const& pair) const {
    auto const z = reward_margin_by(rule, pair);
    return std::array<std::remove_const_t<decltype(z)>, 2>{z, z};
  }
};
/// Whether a pair is in the right order: by z, under the reference, under the policy.
struct orders_of_pair {
  reward_rule rule;

  constexpr auto operator()(auto const& pair) const {
    auto const both = margins_of_pair{}(pair);
    using S = std::remove_cvref_t<decltype(both[0])>;
    return std::array<S, 3>{where(reward_margin_by(rule, pair) > 0.0, S(1.0)),
                            where(both[0] > 0.0, S(1.0)), where(both[1] > 0.0, S(1.0))};
  }
};

}  // namespace detail

/// Compatibility on a batch of pairs, scored before the first step.
///
/// Errors  precondition_error for sizes that disagree, and without a reference
template <class C = column>
[[nodiscard]] reference_compatibility compatibility_of(basic_pair_columns<C> const& batch,
                                                       reward_rule rule) {
  expects(batch.reference.present(), "compatibility_of: it compares with a reference; give one");
  auto const statistics = detail::ruled(batch, rule, "compatibility_of");
  auto const in_order = statistics.sums(detail::orders_of_pair{rule});
  auto const n = static_cast<double>(batch.size());
  return {.margins = correlation_of(statistics, detail::margins_of_pair{}),
          .start = correlation_of(statistics, detail::margin_twice{rule}),
          .accuracy = {in_order[0], n},
          .reference_accuracy = {in_order[1], n},
          .policy_accuracy = {in_order[2], n}};
}

}  // namespace prefer::inline v0_1
