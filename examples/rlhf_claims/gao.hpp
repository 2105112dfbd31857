// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "listed.hpp"

namespace rlhf_claims {

/// A policy on the way that a learned reward leads, exactly.
struct optimised_point {
  double at = 0.0;       ///< n of best-of-n, 1 / beta of the optimum
  double kl = 0.0;       ///< from the start, nats
  double truth = 0.0;    ///< true reward above the start's
  double learned = 0.0;  ///< learned reward above the start's
};
using optimised_path = std::vector<optimised_point>;

/// Best-of-n by a learned reward, of n = 1 to 4096.
[[nodiscard]] optimised_path best_of_n_path(listed_problem const& of, numbers const& learned);
/// start * exp(learned / beta) / Z, of beta from infinity to a hundredth.
[[nodiscard]] optimised_path optimum_path(listed_problem const& of, numbers const& learned);

/// The two forms of Gao et al. 2022, arXiv:2210.10760, of the true reward above the start's, d = sqrt(KL):
///
///   best_of_n      d (alpha - beta d)
///   reinforcement  d (alpha - beta log d)
enum class curve { best_of_n, reinforcement };

struct fitted_curve {
  double alpha = 0.0;
  double beta = 0.0;
  double residual = 0.0;  ///< root of the mean square of what the form leaves over
  double turn = 0.0;      ///< d of its maximum; NaN where that is not on the path
};
/// Least squares over a path, with equal weight for equal parts of d: which values of n or beta were listed plays no part.
[[nodiscard]] fitted_curve fit_curve(optimised_path const& path, curve form);

/// The pull of a fitted score to 0, of all pairs together: as if scores were drawn with a variance of 10.
inline constexpr double reward_ridge = 0.1;

/// A free score for each completion, fitted by maximum likelihood with a little ridge, without which a completion that has
/// won every comparison would have an infinite score.
[[nodiscard]] numbers fitted_reward(weighted_pairs const& pairs, std::size_t completions);

/// The bandit of this study: 64 actions, reward R = N(0, 1), start softmax(1.5 N(0, 1) + R): a policy that has been shown good
/// completions hardly writes bad ones, and so there are few pairs of them.
[[nodiscard]] listed_problem over_optimised_problem(std::uint64_t seed);

}  // namespace rlhf_claims
