// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include <prefer/expects.hpp>
#include <prefer/on_demand.hpp>

namespace prefer::inline v0_1 {

/// A policy on its way: what it is trained to raise, what it is meant to raise, and how far it has gone.
struct checkpoint_rewards {
  std::uint64_t step = 0;
  double proxy = 0.0;  ///< the implicit reward, or a reward model's
  double truth = 0.0;  ///< the reward that counts, on the same completions
  double kl = 0.0;     ///< KL(policy || start), nats
};

/// Over-optimisation: from the peak on, the true reward falls while the proxy goes on rising.
struct over_optimisation {
  bool found = false;
  std::size_t peak =
      0;              ///< index of the checkpoint with the highest true reward, the first of equals
  double drop = 0.0;  ///< true reward at the peak minus at the end
  double proxy_gain = 0.0;        ///< proxy at the end minus at the peak
  double distance_at_peak = 0.0;  ///< sqrt(KL), against which rewards are plotted
};

/// Looks for over-optimisation in checkpoints, in the order of training. `noise` is how much the true reward
/// must fall to count, such as two standard errors of its estimate.
///
/// Source  Gao, Schulman, Hilton 2022, arXiv:2210.10760; for direct methods Rafailov et al. 2024,
///         arXiv:2406.02900
/// Errors  precondition_error without checkpoints
template <class = on_demand>
[[nodiscard]] over_optimisation find_over_optimisation(
    std::span<checkpoint_rewards const> checkpoints, double noise = 0.0) {
  expects(!checkpoints.empty(), "find_over_optimisation: there are no checkpoints");
  over_optimisation out;
  for (std::size_t i = 1; i < checkpoints.size(); ++i) {
    if (checkpoints[i].truth > checkpoints[out.peak].truth) out.peak = i;
  }
  checkpoint_rewards const& peak = checkpoints[out.peak];
  checkpoint_rewards const& end = checkpoints.back();
  out.drop = peak.truth - end.truth;
  out.proxy_gain = end.proxy - peak.proxy;
  out.distance_at_peak = std::sqrt(peak.kl > 0.0 ? peak.kl : 0.0);  // estimates may be negative
  out.found = out.drop > noise && out.proxy_gain > 0.0;
  return out;
}

}  // namespace prefer::inline v0_1
