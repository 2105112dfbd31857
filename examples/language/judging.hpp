// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/metrics/rewards.hpp>
#include <prefer/policy/any_policy.hpp>
#include <prefer/reference/any_reference.hpp>

#include "statistics.hpp"

namespace language {

/// Calls part(batch, first completion) for a few groups at a time of all rows, in order, with row numbers.
void for_each_part(prefer::choice_data const& data,
                   std::function<void(prefer::choice_batch const&, std::size_t)> const& part);

/// Log-probabilities of all completions, nats, in the order of the data. `advance` is told of each few groups, and may throw.
[[nodiscard]] std::vector<float> log_probs_of(
    prefer::any_policy<float>& policy, prefer::choice_data const& data,
    std::function<void(std::size_t groups)> const& advance);
[[nodiscard]] std::vector<float> log_probs_of(
    prefer::any_reference<float>& reference, prefer::choice_data const& data,
    std::function<void(std::size_t groups)> const& advance);

/// What implicit rewards say of rows of pairs, or of lists, whose first completion is compared with the best of the others.
struct preference_judgement {
  mean_of_rows accuracy;  ///< share of rows whose margin is above 0; a tie is a miss
  mean_of_rows reward_margin;
  mean_of_rows reward_chosen;
  mean_of_rows reward_rejected;  ///< of the best of the others
  mean_of_rows log_prob_chosen;
  mean_of_rows log_prob_rejected;
};

/// Whether the margins are the log-odds that they claim to be, on the same rows.
struct calibration_judgement {
  mean_of_rows log_loss;        ///< -log sigmoid(margin), nats; ln 2 of who knows nothing
  mean_of_rows brier;           ///< (1 - sigmoid(margin))^2; 1/4 of who knows nothing
  double expected_error = 0.0;  ///< |confidence - accuracy| of ten bins, averaged by their rows
};

/// Of a reward model's scores of pairs. Nothing of rows of another kind.
[[nodiscard]] std::optional<calibration_judgement> calibration_of_scores(
    prefer::choice_data const& data, std::vector<float> const& scores);

/// `reference` may be empty where the rule takes none. Of rows of one completion only chosen is there.
[[nodiscard]] preference_judgement judge(prefer::choice_data const& data,
                                         std::vector<float> const& policy,
                                         std::vector<float> const& reference,
                                         prefer::reward_rule const& rule);

[[nodiscard]] program::json json_of(calibration_judgement const& of);

}  // namespace language
