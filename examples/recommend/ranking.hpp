// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <vector>

#include <prefer/model/matrix_factorization.hpp>

#include "interactions.hpp"

namespace recommend {

using model = prefer::matrix_factorization<float>;

/// How good a policy is on what it has not seen.
struct judgement {
  double pair_accuracy =
      0.0;  ///< share of held-out preferences with log_prob(chosen) > log_prob(rejected)
  double ndcg_at_10 = 0.0;  ///< of what is not hidden, mean over people who have something to find
  double hit_rate_at_10 = 0.0;  ///< share of them with one of it among the first ten
  double kl_start = 0.0;        ///< KL(policy || start), nats, exact, mean over people
};

/// log_prob of every item for every person: [people, items].
[[nodiscard]] std::vector<float> all_log_probs(model& policy);

/// KL(policy || other), nats, exact, mean over people; both are [people, items].
[[nodiscard]] double mean_divergence(std::vector<float> const& log_prob,
                                     std::vector<float> const& other, std::size_t items);

/// Judges the policy whose log-probabilities these are against the start model's.
[[nodiscard]] judgement judge(interactions const& data, std::vector<float> const& log_prob,
                              std::vector<float> const& start_log_prob);

}  // namespace recommend
