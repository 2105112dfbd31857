// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <type_traits>

#include <prefer/batch/columns.hpp>

// Formulas that show what a backend does with them. Types with names, because not every device compiler takes lambdas.

namespace prefer::inline v0_1::testing::detail {

struct its_log_prob {
  constexpr auto operator()(auto const& record) const { return record.log_prob; }
};

struct both_log_probs {
  constexpr auto operator()(auto const& pair) const {
    using S = std::remove_cvref_t<decltype(pair.chosen.log_prob)>;
    return std::array<S, 2>{pair.chosen.log_prob, pair.rejected.log_prob};
  }
};

struct weighted_log_prob {
  constexpr auto operator()(auto const& pair, auto const& weight) const {
    return weight * pair.chosen.log_prob;
  }
};

/// A member of a record as a number: a condition as 1 or 0.
template <class S, class Member>
[[nodiscard]] constexpr S number_in(Member const& member) {
  if constexpr (requires { member.present; }) {
    return S(member.value);
  } else if constexpr (std::is_convertible_v<Member, S> && !std::is_same_v<Member, bool>) {
    return S(member);
  } else {
    return S(select(member, primal_t<S>(1.0), primal_t<S>(0.0)));
  }
}

/// What a record has of one column.
template <column_name Name, column_side Side>
struct member_of {
  template <class S, class Record>
  static constexpr void look(Record const& record, S& out) {
    Record::describe(record, [&](auto is, auto const& member) {
      if constexpr (is.name == Name) out = number_in<S>(member);
    });
  }
  constexpr auto operator()(auto const& record) const {
    if constexpr (requires { record.rejected; }) {
      auto out = record.chosen.log_prob;
      if constexpr (Side == column_side::chosen) {
        look(record.chosen, out);
      } else if constexpr (Side == column_side::rejected) {
        look(record.rejected, out);
      } else {
        look(record, out);
      }
      return out;
    } else {
      auto out = record.log_prob;
      look(record, out);
      return out;
    }
  }
};

/// Of a pair of which nothing but the policy's log-probabilities is known.
struct defaults_of_pair {
  static constexpr double expected = 7.0 + 10.0 * 5.0 + 100.0 * 1.0 + 1000.0 * 1.0;

  constexpr auto operator()(auto const& pair) const {
    auto out = pair.chosen.log_prob;
    using S = decltype(out);
    out = S(pair.beta_or(7.0)) + 10.0 * S(pair.target_margin_or(5.0)) +
          100.0 * S(pair.chosen.completion_length) + 1000.0 * S(pair.rejected.completion_length) +
          S(pair.chosen.reference_log_prob) + S(pair.rejected.score);
    return out;
  }
};

/// For completion i of a list of n: log_prob of i minus twice the score of n - 1 - i, by way of the room. The list's number
/// is their sum, weighted.
struct list_differences {
  static constexpr std::size_t room = 1;
  [[nodiscard]] static constexpr column_set reads() {
    return column_name::policy | column_name::score | column_name::weight;
  }

  template <class S, class At>
  constexpr S operator()(list_record<S, At> const& list, S const& weight, std::span<S> out,
                         std::span<S> own) const {
    std::size_t const n = list.size();
    for (std::size_t i = 0; i < n; ++i) own[n - 1 - i] = 2.0 * S(list[i].score);
    S sum = S(0.0);
    for (std::size_t i = 0; i < n; ++i) {
      out[i] = list[i].log_prob - own[i];
      sum = sum + out[i];
    }
    return weight * sum;
  }
};

}  // namespace prefer::inline v0_1::testing::detail
