// SPDX-License-Identifier: MIT
#pragma once

#include <prefer/scalar/math.hpp>

namespace prefer::inline v0_1 {

// Estimators of KL(policy || reference) from one completion that the policy wrote, or one of its tokens, of its
// log_ratio r.
//
// Completions from a data set, or from another policy, have the wrong distribution: the mean of these
// numbers over them is then no KL divergence, however it is named in a plot.
//
// As terms of a loss, where the gradient goes through r and not through the choice of completion, each
// does something else: k1 nothing in expectation, k2 the gradient of KL(policy || reference), k3 that of
// KL(reference || policy). As terms of a reward, where it goes through the choice alone, k1 gives the gradient of
// KL(policy || reference), and k2 and k3 do not.
//
// Source  Schulman 2020, "Approximating KL divergence"; as rewards and losses: Tang and Munos 2025, arXiv:2506.09477

/// r: unbiased, either sign. Its variance, that of r, stays of the order of the KL itself where the two
/// are close, so few samples do not even find the sign.
[[nodiscard]] constexpr auto kl_k1(auto const& log_ratio) { return log_ratio; }

/// r^2 / 2: never negative, little variance, biased; the bias is E[r^3] / 6 and higher powers, small where the
/// two are close.
[[nodiscard]] constexpr auto kl_k2(auto const& log_ratio) { return 0.5 * square(log_ratio); }

/// exp(-r) - 1 + r: unbiased, never negative, little variance where the two are close. Heavy-tailed where the
/// reference gives a completion much more than the policy: its variance can be infinite.
[[nodiscard]] constexpr auto kl_k3(auto const& log_ratio) { return expm1(-log_ratio) + log_ratio; }

}  // namespace prefer::inline v0_1
