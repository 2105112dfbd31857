// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <type_traits>
#include <vector>

#include <prefer/batch/columns.hpp>
#include <prefer/expects.hpp>
#include <prefer/metrics/rewards.hpp>
#include <prefer/on_demand.hpp>
#include <prefer/scalar/math.hpp>

namespace prefer::inline v0_1 {

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
template <class = on_demand>
struct basic_calibration {
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

  friend basic_calibration operator+(basic_calibration a, basic_calibration const& b) {
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
using calibration = basic_calibration<>;

namespace detail {

/// The two scores of a pair and its weight.
struct scores_of_pair {
  reward_rule rule;

  constexpr auto operator()(auto const& pair, auto const& weight) const {
    auto const margin = reward_margin_by(rule, pair);
    using S = std::remove_const_t<decltype(margin)>;
    return std::array<S, 3>{weight * square(sigmoid(-margin)), weight * softplus(-margin),
                            S(weight)};
  }
};

/// What a pair adds to the bins [first, first + at_once) of `count`: weight, confidence and correctness of each.
struct bins_of_pair {
  // How many bins there are is known at run time only, so a few are filled in each pass over the batch.
  static constexpr std::size_t at_once = 5;

  reward_rule rule;
  std::size_t first;
  double count;

  constexpr auto operator()(auto const& pair, auto const& weight) const {
    auto const margin = reward_margin_by(rule, pair);
    using S = std::remove_const_t<decltype(margin)>;
    S const confidence = sigmoid(select(margin < 0.0, -margin, margin));
    S const place = (2.0 * confidence - 1.0) * count;  // NaN is in no bin
    S const correct = select(margin > 0.0, S(1.0), select(margin < 0.0, S(0.0), S(0.5)));
    std::array<S, 3 * at_once> numbers;
    for (std::size_t k = 0; k < at_once; ++k) {
      auto const low = static_cast<double>(first + k);
      bool const last = low + 1.0 >= count;  // 1 itself belongs to the last bin
      S const in_bin =
          select(place < low, S(0.0), where(place < (last ? low + 2.0 : low + 1.0), S(weight)));
      numbers[3 * k] = in_bin;
      numbers[3 * k + 1] = where(in_bin > 0.0, in_bin * confidence);
      numbers[3 * k + 2] = in_bin * correct;
    }
    return numbers;
  }
};

}  // namespace detail

/// Calibration on a batch of pairs, by their weights where it has any.
///
/// A margin that is NaN makes the scores NaN and is in no bin.
/// Source  reliability and expected error: Guo et al. 2017, arXiv:1706.04599; Brier 1950
/// Errors  precondition_error for sizes that disagree, and for no bins
template <class C = column>
[[nodiscard]] calibration calibration_of(basic_pair_columns<C> const& batch, reward_rule rule,
                                         std::size_t bins = 10) {
  expects(bins > 0, "calibration_of: bins must be at least 1");
  auto const statistics = detail::ruled(batch, rule, "calibration_of");
  auto const scores = statistics.sums(detail::scores_of_pair{rule});
  calibration out{.bins = std::vector<reliability_bin>(bins),
                  .brier = {scores[0], scores[2]},
                  .log_loss = {scores[1], scores[2]}};

  constexpr std::size_t at_once = detail::bins_of_pair::at_once;
  for (std::size_t first = 0; first < bins; first += at_once) {
    auto const sums = statistics.sums(detail::bins_of_pair{rule, first, static_cast<double>(bins)});
    for (std::size_t k = 0; k < at_once && first + k < bins; ++k) {
      out.bins[first + k] = {sums[3 * k], sums[3 * k + 1], sums[3 * k + 2]};
    }
  }
  return out;
}

}  // namespace prefer::inline v0_1
