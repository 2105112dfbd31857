// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <vector>

#include "learn.hpp"
#include "measured.hpp"

namespace rlhf_claims {

/// A policy of one method at one beta.
struct kl_point {
  double beta = 0.0;
  double kl = 0.0;      ///< from the start, nats
  double reward = 0.0;  ///< true reward above the start's
  double accuracy =
      0.0;  ///< of the log-ratio to the start, on the start's pairs, by the true reward
  double outside = 0.0;  ///< probability of what no pair has shown
};

/// One number of a path at a given divergence, between the two policies around it, straight in sqrt(KL); NaN where the path
/// does not come there.
[[nodiscard]] inline double at_kl(std::vector<kl_point> path, double kl, double kl_point::*what) {
  std::sort(path.begin(), path.end(), [](auto const& a, auto const& b) { return a.kl < b.kl; });
  for (std::size_t i = 1; i < path.size(); ++i) {
    if (path[i - 1].kl > kl || path[i].kl < kl) continue;
    double const low = std::sqrt(path[i - 1].kl);
    double const share = (std::sqrt(kl) - low) / (std::sqrt(path[i].kl) - low);
    return path[i - 1].*what + share * (path[i].*what - path[i - 1].*what);
  }
  return std::numeric_limits<double>::quiet_NaN();
}

/// What is measured of a policy; `seen` may be empty.
[[nodiscard]] inline kl_point judged(listed_problem const& of, numbers const& policy, double beta,
                                     std::vector<bool> const& seen) {
  numbers ratio = policy;
  for (std::size_t y = 0; y != ratio.size(); ++y) ratio[y] -= of.start[y];
  kl_point out{.beta = beta,
               .kl = divergence(policy, of.start),
               .reward = expected(policy, of.reward) - expected(of.start, of.reward),
               .accuracy = pair_accuracy(of, ratio)};
  for (std::size_t y = 0; y != seen.size(); ++y) {
    if (!seen[y]) out.outside += std::exp(policy[y]);
  }
  return out;
}

/// Every number of a path, by beta.
inline void add_path(std::string const& setting, std::string const& method,
                     std::vector<kl_point> const& path, std::vector<measured>& out) {
  for (kl_point const& each : path) {
    out.push_back({setting, method, each.beta, "kl", each.kl});
    out.push_back({setting, method, each.beta, "true reward", each.reward});
    out.push_back({setting, method, each.beta, "accuracy", each.accuracy});
    out.push_back({setting, method, each.beta, "mass outside", each.outside});
  }
}

}  // namespace rlhf_claims
