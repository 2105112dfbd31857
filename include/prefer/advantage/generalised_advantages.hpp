// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include <prefer/advantage/steps.hpp>
#include <prefer/bounded.hpp>
#include <prefer/expects.hpp>
#include <prefer/on_demand.hpp>

namespace prefer::inline v0_1 {

/// How far a step looks ahead.
struct advantage_horizon {
  fraction discount = 1.0;  ///< gamma: what a reward is worth one step earlier
  fraction lambda = 0.95;   ///< 0: one step and the value after it; 1: all rewards to come
};

/// What a policy and its value head are trained by.
template <class = on_demand>
struct basic_estimated_advantages {
  std::vector<double> advantage;     ///< of each step, in the unit of rewards
  std::vector<double> value_target;  ///< the return: advantage + value
};
using estimated_advantages = basic_estimated_advantages<>;

/// Generalised advantage estimation, within each episode; after its last step there is nothing to expect.
///
///   surprise_t  = reward_t + discount * value_{t+1} - value_t
///   advantage_t = surprise_t + discount * lambda * advantage_{t+1}
///   value_target_t = advantage_t + value_t
///
/// Value targets are taken from advantages as they are, before anybody whitens those.
///
/// Reads   rewards and values of every step, in one unit [steps]
/// Errors  precondition_error for a discount or a lambda outside [0, 1], for an episode without steps and for rewards or
///         values that are not finite
/// Source  Schulman et al. 2016, arXiv:1506.02438, eq. 16; lambda = 1 gives eq. 18, lambda = 0 gives eq. 17
/// TRL     PPOTrainer, `gamma` and `lam`
template <class = on_demand>
[[nodiscard]] estimated_advantages generalised_advantages(std::span<double const> reward,
                                                          std::span<double const> value,
                                                          std::span<std::size_t const> step_offset,
                                                          advantage_horizon const& horizon = {}) {
  constexpr char const* where = "generalised_advantages";
  expects_in_range(horizon.discount, where, "discount");
  expects_in_range(horizon.lambda, where, "lambda");
  expects_size(value.size(), reward.size(), where, "value");
  detail::expects_parts(step_offset, reward.size(), 1, where, "episode");
  detail::expects_finite(reward, where, "reward");
  detail::expects_finite(value, where, "value");
  estimated_advantages out{std::vector<double>(reward.size()), std::vector<double>(reward.size())};
  for (std::size_t i = 0; i + 1 < step_offset.size(); ++i) {
    double next_value = 0.0;
    double next_advantage = 0.0;
    for (std::size_t t = step_offset[i + 1]; t-- != step_offset[i];) {
      double const surprise = reward[t] + horizon.discount * next_value - value[t];
      next_advantage = surprise + horizon.discount * horizon.lambda * next_advantage;
      next_value = value[t];
      out.advantage[t] = next_advantage;
      out.value_target[t] = next_advantage + value[t];
    }
  }
  return out;
}

}  // namespace prefer::inline v0_1
