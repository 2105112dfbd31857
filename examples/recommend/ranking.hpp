// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include <prefer/model/matrix_factorization.hpp>
#include <prefer/parallel/executor.hpp>

#include "interactions.hpp"

namespace recommend {

using model = prefer::matrix_factorization<float>;

/// Fills in log_prob of every item for people [first, first + count): [count, items].
using item_log_probs =
    std::function<void(std::size_t first, std::size_t count, std::span<float> out)>;

/// How good a policy is on what it has not seen.
struct judgement {
  double pair_accuracy =
      0.0;  ///< share of held-out preferences with log_prob(chosen) > log_prob(rejected)
  double margin =
      0.0;  ///< of held-out preferences, mean log_prob of chosen minus of rejected, nats
  double start_margin = 0.0;  ///< the same under the start model
  double kl_start = 0.0;      ///< KL(policy || start), nats, exact, mean over people

  // Of rankings without what is hidden, mean over people who have something to find; nothing where nobody has.
  std::optional<double> ndcg_at_10;
  std::optional<double> hit_rate_at_10;  ///< share of people with one of it among the first ten
  std::vector<float> ndcg_of;            ///< [people], NaN for who has nothing to find
};

/// What a model says, through products of matrices; it is borrowed and does not move meanwhile.
[[nodiscard]] item_log_probs said_by(model& policy, prefer::executor threads = {});

/// Judges a policy against the start model. A block of people is at work at a time, so that memory does not grow with
/// people x items.
[[nodiscard]] judgement judge(interactions const& data, item_log_probs const& policy,
                              item_log_probs const& start, prefer::executor threads = {});

/// KL(policy || other), nats, exact, mean over people.
[[nodiscard]] double mean_divergence(interactions const& data, item_log_probs const& policy,
                                     item_log_probs const& other, prefer::executor threads = {});

/// What a policy is expected to get of a score, mean over people: that of all items by their probabilities. What a score says up
/// to a constant per person, this does too; a difference of two policies is free of it.
[[nodiscard]] double mean_score(interactions const& data, item_log_probs const& policy,
                                item_log_probs const& score, prefer::executor threads = {});

/// How well a score tells the chosen of a held-out preference from the rejected, and whether sigmoid(difference) is the
/// probability that it claims to be.
struct pair_judgement {
  double accuracy = 0.0;           ///< share of preferences with score(chosen) > score(rejected)
  double log_loss = 0.0;           ///< -log sigmoid(difference), mean, nats
  double calibration_error = 0.0;  ///< expected, of ten bins (prefer::calibration)
};

/// Judges scale * (score - other) as the reward; without another, scale * score.
[[nodiscard]] pair_judgement judge_pairs(interactions const& data, item_log_probs const& score,
                                         double scale, item_log_probs const& other = {},
                                         prefer::executor threads = {});

/// What judging takes besides models: two blocks.
[[nodiscard]] std::size_t bytes_to_judge(std::size_t people, std::size_t items);

}  // namespace recommend
