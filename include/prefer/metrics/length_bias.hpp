// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <type_traits>

#include <prefer/batch/columns.hpp>
#include <prefer/metrics/correlation.hpp>
#include <prefer/metrics/rewards.hpp>

namespace prefer::inline v0_1 {

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
template <class C = column>
[[nodiscard]] length_bias length_bias_of(basic_pair_columns<C> const& batch, reward_rule rule) {
  detail::expects_lengths(batch, "length_bias_of");
  batch_statistics const statistics(batch, "length_bias_of");
  auto const of_side = [rule](auto const& pair, auto const& completion) {
    auto const reward = reward_by(rule, pair, completion);
    return std::array{reward, std::remove_const_t<decltype(reward)>(completion.completion_length)};
  };
  auto const of_chosen = [of_side](auto const& pair) { return of_side(pair, pair.chosen); };
  auto const of_rejected = [of_side](auto const& pair) { return of_side(pair, pair.rejected); };
  auto const of_difference = [of_side](auto const& pair) {
    auto const chosen = of_side(pair, pair.chosen);
    auto const rejected = of_side(pair, pair.rejected);
    return std::array{chosen[0] - rejected[0], chosen[1] - rejected[1]};
  };
  auto const lengths = statistics.sums([of_side](auto const& pair) {
    return std::array{of_side(pair, pair.chosen)[1], of_side(pair, pair.rejected)[1]};
  });
  auto const n = static_cast<double>(batch.size());
  return {{lengths[0], n},
          {lengths[1], n},
          correlation_of(statistics, of_chosen) + correlation_of(statistics, of_rejected),
          correlation_of(statistics, of_difference)};
}

}  // namespace prefer::inline v0_1
