// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>

#include <prefer/batch/columns.hpp>
#include <prefer/metrics/rewards.hpp>
#include <prefer/scalar/math.hpp>

namespace prefer {

/// The pairs that still teach something: sigmoid(-z), the size of DPO's coefficient relative to its largest, is
/// above 0.05, that is z < 2.94. Few of them mean a saturated loss.
///
/// Errors  precondition_error for sizes that disagree
[[nodiscard]] inline sum_and_count active_share(pair_columns const& batch, reward_rule rule) {
  detail::pair_rewards const reward(batch, rule, "active_share");
  sum_and_count out;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    double const z = reward.chosen(i) - reward.rejected(i);
    out = out + sum_and_count{sigmoid(-z) > 0.05 ? 1.0 : 0.0, 1.0};
  }
  return out;
}

/// Kish's effective sample size of coefficients c: as many examples of equal weight would have a mean of
/// the same variance.
///
///   size = (sum |c|)^2 / sum c^2, between 1 and the number of examples
///
/// Source  Kish 1965, "Survey Sampling"
struct effective_sample {
  double count = 0.0;
  double sum = 0.0;             ///< of |c|
  double sum_of_squares = 0.0;  ///< of c

  /// 0 where all coefficients are 0.
  [[nodiscard]] double size() const {
    return sum_of_squares > 0.0 ? sum * sum / sum_of_squares : 0.0;
  }
  [[nodiscard]] double share() const { return count > 0.0 ? size() / count : 0.0; }

  friend effective_sample operator+(effective_sample const& a, effective_sample const& b) {
    return {a.count + b.count, a.sum + b.sum, a.sum_of_squares + b.sum_of_squares};
  }
};

/// Of the coefficients that `evaluate` gives, for chosen completions, say. A common factor cancels.
[[nodiscard]] inline effective_sample effective_sample_of(column coefficient) {
  effective_sample out;
  for (std::size_t i = 0; i < coefficient.size(); ++i) {
    double const c = coefficient[i];
    out = out + effective_sample{1.0, std::abs(c), c * c};
  }
  return out;
}

}  // namespace prefer
