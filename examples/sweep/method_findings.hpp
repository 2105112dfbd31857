// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "../program/estimate.hpp"
#include "comparison.hpp"
#include "judged.hpp"

namespace sweep {

using program::estimate;
using program::estimate_of;
using program::paired_difference;

/// A policy of one seed.
struct kl_and_reward {
  double kl = 0.0;  ///< to the start, nats
  double reward = 0.0;
};

/// The reward of a method at a KL between those of two of its policies: on the line between them over sqrt(KL), along which
/// rewards near the start are straight.
///
/// `start_reward` is that of KL 0. Nothing where no policy goes as far. Policies need not be in order.
[[nodiscard]] std::optional<double> reward_at(std::vector<kl_and_reward> policies,
                                              double start_reward, double kl);

/// All methods at one KL to the start.
struct level {
  double kl = 0.0;
  std::vector<std::optional<estimate>> reward =
      {};  ///< of each method; nothing where a seed does not get there
  /// Of each method minus that of dpo, seed by seed, where both get there; nothing for dpo itself.
  std::vector<std::optional<estimate>> over_dpo = {};
  std::optional<estimate> frontier = {};  ///< of the best policy there is
  std::optional<std::size_t> best = {};   ///< a method, yardsticks left out
  std::optional<std::size_t> next = {};
  std::optional<estimate> apart = {};  ///< reward of the best minus the next, seed by seed
};

/// Where the true reward of a method turns while the learned one goes on rising.
struct turning_point {
  std::size_t method = 0;
  bool in_training =
      false;  ///< over the steps of the run with the weakest pull, else over the swept number
  double number = 0.0;        ///< that is swept, at the peak
  std::uint64_t step = 0;     ///< at the peak
  double kl = 0.0;            ///< at the peak, mean over seeds
  estimate drop = {};         ///< of the true reward from the peak to the end, seed by seed
  double learned_gain = 0.0;  ///< of the learned reward on that way
  bool found = false;         ///< the drop is above twice its standard error, and the gain above 0
  bool judged =
      false;  ///< there is an error, which one seed has not, so that found means something
};

/// What a run takes.
struct run_cost {
  std::size_t method = 0;
  estimate seconds = {};     ///< over seeds, mean over what is swept
  estimate peak_bytes = {};  ///< likewise
  std::uint64_t bytes = 0;
  spending spent = {};
};

struct method_setting_mean {
  method_setting what;
  estimate reward;
  estimate kl;
  std::optional<estimate> distance;  ///< to the frontier, at each seed's own KL
  std::optional<estimate> learned;
  std::optional<double> kl_bound;
  std::optional<estimate> pair_accuracy;
};

struct ground_findings {
  std::size_t ground = 0;
  label_noise noise = {};                          ///< of the labels
  std::vector<std::size_t> methods = {};           ///< that it has
  std::vector<method_setting_mean> settings = {};  ///< in the order of the comparison
  std::vector<level> levels = {};
  std::vector<turning_point> turns = {};
  std::vector<run_cost> costs = {};
  std::string text = {};  ///< what all this says, in sentences
};

/// Of each ground, at each rate of flips.
[[nodiscard]] std::vector<ground_findings> findings_of(comparison const& all,
                                                       method_results const& rows);

/// Looks along a curve, whose points have one number for each seed.
struct curve_point {
  double number = 0.0;
  std::uint64_t step = 0;
  std::vector<judged> truth = {};
  std::vector<double> learned = {};
  std::vector<double> kl = {};
};
[[nodiscard]] turning_point turn_of(std::vector<curve_point> const& along);

}  // namespace sweep
