// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <prefer/batch/columns.hpp>
#include <prefer/metrics/correlation.hpp>
#include <prefer/metrics/rewards.hpp>

namespace prefer {

/// What rewards have to do with length. A reward that follows length teaches a policy to write more, not
/// better: compare with how the lengths of what it writes develop.
///
/// Source  Park et al. 2024, arXiv:2403.19159; Singhal et al. 2023, arXiv:2310.03716
struct length_bias {
  sum_and_count length_chosen = {};    ///< tokens
  sum_and_count length_rejected = {};  ///< tokens
  correlation reward_length =
      {};  ///< of implicit reward (x) and length (y), completions of both sides
  correlation margin_length_difference =
      {};  ///< of reward margin (x) and length of chosen minus rejected (y)

  friend length_bias operator+(length_bias const& a, length_bias const& b) {
    return {a.length_chosen + b.length_chosen, a.length_rejected + b.length_rejected,
            a.reward_length + b.reward_length,
            a.margin_length_difference + b.margin_length_difference};
  }
};

/// The relation of rewards and lengths in a batch of pairs.
///
/// Errors  precondition_error for sizes that disagree, and without lengths
[[nodiscard]] inline length_bias length_bias_of(pair_columns const& batch, reward_rule rule) {
  detail::pair_rewards const reward(batch, rule, "length_bias_of");
  detail::pair_rewards::expects_lengths(batch, "length_bias_of");
  length_bias out;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    double const chosen = batch.length.chosen[i];
    double const rejected = batch.length.rejected[i];
    out.length_chosen = out.length_chosen + sum_and_count{chosen, 1.0};
    out.length_rejected = out.length_rejected + sum_and_count{rejected, 1.0};
    out.reward_length.add(reward.chosen(i), chosen);
    out.reward_length.add(reward.rejected(i), rejected);
    out.margin_length_difference.add(reward.chosen(i) - reward.rejected(i), chosen - rejected);
  }
  return out;
}

}  // namespace prefer
