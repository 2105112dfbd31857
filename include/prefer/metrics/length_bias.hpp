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

namespace detail {

/// The implicit reward and the length of one side of a pair.
template <column_side Side>
struct reward_and_length {
  reward_rule rule;

  constexpr auto operator()(auto const& pair) const {
    auto const& completion = [&]() -> auto const& {
      if constexpr (Side == column_side::chosen) {
        return pair.chosen;
      } else {
        return pair.rejected;
      }
    }();
    auto const reward = reward_by(rule, pair, completion);
    using S = std::remove_const_t<decltype(reward)>;
    return std::array<S, 2>{reward, S(completion.completion_length)};
  }
};
/// The same of chosen minus rejected.
struct margin_and_length_difference {
  reward_rule rule;

  constexpr auto operator()(auto const& pair) const {
    auto const chosen = reward_and_length<column_side::chosen>{rule}(pair);
    auto const rejected = reward_and_length<column_side::rejected>{rule}(pair);
    using S = std::remove_cvref_t<decltype(chosen[0])>;
    return std::array<S, 2>{chosen[0] - rejected[0], chosen[1] - rejected[1]};
  }
};
struct lengths_of_pair {
  constexpr auto operator()(auto const& pair) const {
    using S = std::remove_cvref_t<decltype(pair.chosen.log_prob)>;
    return std::array<S, 2>{S(pair.chosen.completion_length), S(pair.rejected.completion_length)};
  }
};

}  // namespace detail

/// The relation of rewards and lengths in a batch of pairs.
///
/// Errors  precondition_error for sizes that disagree, and without lengths
template <class C = column>
[[nodiscard]] length_bias length_bias_of(basic_pair_columns<C> const& batch, reward_rule rule) {
  detail::expects_lengths(batch, "length_bias_of");
  batch_statistics const statistics(batch, "length_bias_of");
  auto const lengths = statistics.sums(detail::lengths_of_pair{});
  auto const n = static_cast<double>(batch.size());
  return {{lengths[0], n},
          {lengths[1], n},
          correlation_of(statistics, detail::reward_and_length<column_side::chosen>{rule}) +
              correlation_of(statistics, detail::reward_and_length<column_side::rejected>{rule}),
          correlation_of(statistics, detail::margin_and_length_difference{rule})};
}

}  // namespace prefer::inline v0_1
