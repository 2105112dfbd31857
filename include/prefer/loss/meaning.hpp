// SPDX-License-Identifier: MIT
#pragma once

#include <prefer/batch/column_rules.hpp>
#include <prefer/loss/loss.hpp>
#include <prefer/loss/parts.hpp>

namespace prefer::inline v0_1 {

namespace detail {

[[nodiscard]] constexpr batch_meaning both_meanings(batch_meaning a, batch_meaning b) {
  return {.score = a.score < b.score ? b.score : a.score,  // the narrower
          .policy_is_score = a.policy_is_score && b.policy_is_score,
          .divides_by_length = a.divides_by_length || b.divides_by_length};
}

template <class L>
[[nodiscard]] constexpr batch_meaning find_meaning();

template <class First, class... Rest>
[[nodiscard]] constexpr batch_meaning meaning_of_parts(part_list<First, Rest...>) {
  batch_meaning all = find_meaning<First>();
  ((all = both_meanings(all, find_meaning<Rest>())), ...);
  return all;
}

template <class L>
[[nodiscard]] constexpr batch_meaning find_meaning() {
  batch_meaning own;
  if constexpr (requires { L::batch_means; }) {
    own = L::batch_means;
  } else if constexpr (has_parts<L>) {
    own = meaning_of_parts(parts_of_t<L>{});
  }
  own.divides_by_length = own.divides_by_length && may_read<L>.contains(column_name::length);
  return own;
}

}  // namespace detail

/// What a loss takes its batch to mean: what it declares,
///
///   static constexpr batch_meaning batch_means = {.score = score_kind::win_probability};
///
/// else what its parts mean together, where one that takes log-probabilities is enough to ask for them.
template <Loss L>
inline constexpr batch_meaning meaning_of = detail::find_meaning<L>();

}  // namespace prefer::inline v0_1
