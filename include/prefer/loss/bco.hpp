// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <prefer/loss/loss.hpp>

namespace prefer::inline v0_1 {

/// Binary Classifier Optimization on a pair: chosen completions are classified as good, rejected ones as bad.
///
///   loss = softplus(-u_chosen) + softplus(u_rejected),  u = beta * log_ratio
///
/// Reads   policy and reference log_prob of both completions; beta per pair where given
/// Units   nats. An upper bound of dpo's loss
/// Errors  beta <= 0 is refused
/// Source  Jung et al. 2024, arXiv:2404.04656
/// TRL     DPOTrainer `bco_pair`. No reward shift, there and here; the shift is part of bco. Until February 2026 TRL
///         subtracted a running mean
struct bco_pair {
  static constexpr std::size_t arity = 2;
  static constexpr char const* name = "bco_pair";

  positive beta = 0.1;

  constexpr auto operator()(auto const& pair) const {
    auto const b = pair.beta_or(beta);
    return softplus(-(b * pair.chosen.log_ratio())) + softplus(b * pair.rejected.log_ratio());
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) { visit("beta", self.beta); }
};

namespace detail {

/// beta * log_ratio, nats.
struct reward_at {
  double beta;

  constexpr auto operator()(auto const& example) const {
    return example.beta_or(beta) * example.log_ratio();
  }
};
template <class F>
struct squared_distance {
  F of;
  double from;

  constexpr auto operator()(auto const& example) const { return square(of(example) - from); }
};

}  // namespace detail

/// Binary Classifier Optimization: a classifier of good and bad completions whose threshold is a running mean of the
/// implicit rewards.
///
///   desirable    softplus(-(beta * log_ratio - threshold))
///   undesirable  softplus(beta * log_ratio - threshold)
///   threshold    mean of beta * log_ratio over all examples so far, this batch included; without gradient
///
/// Where good and bad completions answer different prompts, undesirable examples get a weight (the batch's weight
/// column): density_ratio_weight of the prompt.
///
/// Reads   policy and reference log_prob, label; beta per example where given
/// Units   nats
/// Keeps   mean, count and spread of all rewards so far
/// Several processes: sums and counts are added up, so the threshold is that of the whole batch
/// Errors  beta <= 0 is refused
/// Source  Jung et al. 2024, arXiv:2404.04656. The paper's threshold is the midpoint of the two classes' means
///         (secondary source); class imbalance moves this one
/// TRL     BCOTrainer: the same running mean
struct bco {
  static constexpr std::size_t arity = 1;
  static constexpr char const* name = "bco";
  struct state {
    double threshold = 0.0;  // nats
  };
  struct memory {
    double mean = 0.0;     // of beta * log_ratio, nats
    double count = 0.0;    // examples
    double squares = 0.0;  // sum of squared distances from the mean

    /// Of all rewards so far, with count - 1 below; NaN for fewer than two.
    [[nodiscard]] double standard_deviation() const {
      return prefer::sqrt(squares / (count > 1.0 ? count - 1.0 : 0.0));
    }
  };

  positive beta = 0.1;

  [[nodiscard]] constexpr state prepare(auto const& batch, memory& so_far) const {
    detail::reward_at const reward{beta};
    double const examples = batch.count();
    double const mean = batch.means(reward);
    double const spread = batch.sums(detail::squared_distance<detail::reward_at>{reward, mean});
    // Two means and spreads become one (Chan, Golub and LeVeque 1979).
    double const count = so_far.count + examples;
    double const step = mean - so_far.mean;
    so_far.squares += spread + step * step * so_far.count * examples / count;
    so_far.mean += step * examples / count;
    so_far.count = count;
    return {so_far.mean};
  }
  constexpr auto operator()(auto const& example, state const& batch) const {
    auto const above = example.beta_or(beta) * example.log_ratio() - batch.threshold;
    return softplus(select(example.desirable, -above, above));
  }
  static constexpr void metrics(state const& batch, auto&& visit) {
    visit("delta", batch.threshold);
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) { visit("beta", self.beta); }
};

/// The weight of an undesirable example in bco: how much likelier its prompt is among desirable examples.
///
///   weight = clamp(p / (1 - p), least, most),  p = probability that the prompt belongs to a desirable example
///
/// Errors  p outside [0, 1] throws precondition_error
/// Source  Jung et al. 2024, arXiv:2404.04656
/// TRL     BCOTrainer with the same bounds; it divides by 1 - p + 1e-8
[[nodiscard]] constexpr double density_ratio_weight(double p, double least = 0.5,
                                                    double most = 10.0) {
  expects(p >= 0.0 && p <= 1.0, "density_ratio_weight: p must be a probability");
  return p >= 1.0 ? most : clamp(p / (1.0 - p), least, most);
}

}  // namespace prefer::inline v0_1
