// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

#include <prefer/batch/columns.hpp>
#include <prefer/expects.hpp>
#include <prefer/metrics/rewards.hpp>
#include <prefer/scalar/math.hpp>

namespace prefer {

/// Pairs that the policy is about equally sure of, as weighted sums.
struct reliability_bin {
  double weight = 0.0;
  double confidence = 0.0;  ///< sum of weight * sigmoid(|z|)
  double correct = 0.0;     ///< sum of weight where z > 0; a tie counts half

  [[nodiscard]] double mean_confidence() const { return weight > 0.0 ? confidence / weight : 0.0; }
  [[nodiscard]] double accuracy() const { return weight > 0.0 ? correct / weight : 0.0; }
};

/// Whether sigmoid(z), z the reward margin, is the probability that it claims to be: that of "chosen is
/// preferred", on pairs that were not trained on.
///
/// A pair has no side of its own, so what is binned is the confidence sigmoid(|z|), from 1/2 to 1, against
/// how often the completion of higher reward is the chosen one.
struct calibration {
  std::vector<reliability_bin> bins;  ///< of equal width over [1/2, 1]
  sum_and_count brier = {};           ///< (1 - sigmoid(z))^2
  sum_and_count log_loss = {};        ///< -log sigmoid(z), nats: DPO's loss

  /// Expected calibration error: |confidence - accuracy| of the bins, averaged by their weights.
  [[nodiscard]] double expected_error() const {
    double weight = 0.0;
    double sum = 0.0;
    for (reliability_bin const& bin : bins) {
      weight += bin.weight;
      sum += std::abs(bin.confidence - bin.correct);
    }
    return weight > 0.0 ? sum / weight : 0.0;
  }
  /// All bins in one.
  [[nodiscard]] reliability_bin total() const {
    reliability_bin out;
    for (reliability_bin const& bin : bins) out = sum(out, bin);
    return out;
  }

  friend calibration operator+(calibration a, calibration const& b) {
    expects_size(b.bins.size(), a.bins.size(), "calibration", "bins of the second");
    for (std::size_t i = 0; i < a.bins.size(); ++i) a.bins[i] = sum(a.bins[i], b.bins[i]);
    a.brier = a.brier + b.brier;
    a.log_loss = a.log_loss + b.log_loss;
    return a;
  }

 private:
  static reliability_bin sum(reliability_bin const& a, reliability_bin const& b) {
    return {a.weight + b.weight, a.confidence + b.confidence, a.correct + b.correct};
  }
};

/// Calibration on a batch of pairs, by their weights where it has any.
///
/// A margin that is NaN makes the scores NaN and is in no bin.
/// Source  reliability and expected error: Guo et al. 2017, arXiv:1706.04599; Brier 1950
/// Errors  precondition_error for sizes that disagree, and for no bins
[[nodiscard]] inline calibration calibration_of(pair_columns const& batch, reward_rule rule,
                                                std::size_t bins = 10) {
  expects(bins > 0, "calibration_of: bins must be at least 1");
  detail::pair_rewards const reward(batch, rule, "calibration_of");
  if (batch.weight.present()) {
    expects_size(batch.weight.size(), batch.size(), "calibration_of", "weight");
  }
  calibration out;
  out.bins.resize(bins);
  for (std::size_t i = 0; i < batch.size(); ++i) {
    double const z = reward.chosen(i) - reward.rejected(i);
    double const weight = batch.weight.present() ? batch.weight[i] : 1.0;
    out.brier = out.brier + sum_and_count{weight * square(sigmoid(-z)), weight};
    out.log_loss = out.log_loss + sum_and_count{weight * softplus(-z), weight};
    if (std::isnan(z)) continue;
    double const confidence = sigmoid(std::abs(z));
    auto const bin = static_cast<std::size_t>((2.0 * confidence - 1.0) * static_cast<double>(bins));
    reliability_bin& to = out.bins[detail::at_most(bins - 1, bin)];
    to.weight += weight;
    to.confidence += weight * confidence;
    to.correct += weight * (z > 0.0 ? 1.0 : z == 0.0 ? 0.5 : 0.0);
  }
  return out;
}

}  // namespace prefer
