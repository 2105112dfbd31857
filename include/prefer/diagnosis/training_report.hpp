// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include <prefer/batch/columns.hpp>
#include <prefer/loss/loss.hpp>
#include <prefer/metrics/calibration.hpp>
#include <prefer/metrics/displacement.hpp>
#include <prefer/metrics/effective_sample.hpp>
#include <prefer/metrics/length_bias.hpp>
#include <prefer/metrics/over_optimisation.hpp>
#include <prefer/metrics/reference_compatibility.hpp>
#include <prefer/metrics/rewards.hpp>
#include <prefer/train/step_report.hpp>

namespace prefer::inline v0_1 {

/// What a loss and its policy look like on a set of pairs at one moment. Parts can be added.
struct pair_summary {
  pair_metrics rewards = {};
  sum_and_count active = {};              ///< share of pairs with sigmoid(-z) > 0.05
  displacement displaced = {};            ///< where there is a reference
  reference_compatibility compared = {};  ///< where there is a reference
  length_bias lengths = {};               ///< where there are lengths
  calibration calibrated = {};

  [[nodiscard]] bool present() const { return rewards.reward_margin.count > 0.0; }

  friend pair_summary operator+(pair_summary const& a, pair_summary const& b) {
    return {a.rewards + b.rewards,
            a.active + b.active,
            a.displaced + b.displaced,
            a.compared + b.compared,
            a.lengths + b.lengths,
            a.calibrated.bins.empty()   ? b.calibrated
            : b.calibrated.bins.empty() ? a.calibrated
                                        : a.calibrated + b.calibrated};
  }
};

/// Everything that can be said of a batch of pairs with the columns that it has.
///
/// Errors  precondition_error for sizes that disagree
[[nodiscard]] inline pair_summary summary_of(pair_columns const& batch, reward_rule rule) {
  pair_summary out{.rewards = metrics(batch, rule),
                   .active = active_share(batch, rule),
                   .calibrated = calibration_of(batch, rule)};
  if (batch.reference.present()) {
    out.displaced = displacement_of(batch);
    out.compared = compatibility_of(batch, rule);
  }
  if (batch.length.present()) out.lengths = length_bias_of(batch, rule);
  return out;
}

template <Loss L>
[[nodiscard]] pair_summary summary_of(pair_columns const& batch, L const& loss) {
  return summary_of(batch, reward_rule_of(loss));
}

/// What is known of a run, for `diagnose_training`. Whatever is left out is not judged.
struct training_report {
  std::vector<step_report> steps = {};
  pair_summary start = {};     ///< of training pairs, before the first step
  pair_summary end = {};       ///< of the same pairs, after the last
  pair_summary held_out = {};  ///< of pairs that were not trained on, after the last step
  double kl = std::numeric_limits<double>::quiet_NaN();  ///< KL(policy || start) at the end, nats
  std::vector<checkpoint_rewards> checkpoints = {};
  double truth_noise = 0.0;  ///< of the true reward of a checkpoint, see find_over_optimisation
  bool reference_is_start = false;  ///< the reference is the policy as it was before the first step
};

}  // namespace prefer::inline v0_1
