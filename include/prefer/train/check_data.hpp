// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/batch/column_rules.hpp>
#include <prefer/batch/columns.hpp>
#include <prefer/expects.hpp>
#include <prefer/loss/hyper_parameter.hpp>
#include <prefer/loss/loss.hpp>
#include <prefer/loss/meaning.hpp>

namespace prefer::inline v0_1 {

namespace detail {

/// A column that is read is there; one that changes what a loss computes where it is there is read.
template <column_name Name, column_rule Rule>
void expects_column(column_set read, column_description<Name, Rule> is, bool present) {
  if (present == read.contains(Name)) return;
  bool const optional = optional_columns.contains(Name);
  if (present && optional) {
    broken(std::string("trainer: the data has a column ") + is.spelling +
           ", which this loss does not read");
  }
  if (!present && !optional) {
    broken(std::string("trainer: this loss reads ") + is.spelling +
           ", which the data does not have" +
           (Name == column_name::length ? "; a completion that is one choice has length 1" : ""));
  }
}

/// The first number of every column that its rule, or what the loss takes it for, does not allow. A template, so that a
/// unit that trains nothing does not pay for it.
template <std::same_as<choice_data> Data>
void expects_good_numbers(Data const& data, batch_meaning const& meaning, bool pairs) {
  Data::describe(data, [&](auto is, per each, std::vector<float> const& column) {
    number_rule const rule = rule_of(is, meaning);
    std::size_t const i = first_breaking(column, column.size(), rule);
    if (i == column.size()) return;
    broken((each == per::completion ? "trainer: completion " + std::to_string(i) + " of the data"
                                    : "trainer: row " + std::to_string(i)) +
           " has " + is.spelling + " " + found(static_cast<double>(column[i]), rule.expected));
  });
  if (meaning.score != score_kind::ordered_reward || data.score.empty()) return;
  for (std::size_t g = 0; g < data.size(); ++g) {
    std::size_t const begin = data.offset[g];
    std::size_t const end = data.offset[g + 1];
    std::size_t const i = first_out_of_order(data.score, begin, end, !pairs);
    if (i >= end) continue;
    broken("trainer: row " + std::to_string(g) + " has scores " +
           std::to_string(data.score[i - 1]) + " and then " + std::to_string(data.score[i]) +
           "; this loss takes the best completion first" +
           (pairs ? ", and the other below it" : ""));
  }
}

}  // namespace detail

/// Whether examples have what a loss reads, and nothing that it would ignore; columns `beside` the data are there. A part
/// of a batch without examples has every column.
///
/// Errors  precondition_error naming the row or the column
template <Loss L>
void check_examples(L const& loss, choice_data const& data, column_set beside = {}) {
  if (data.size() == 0) return;
  std::string const row = "trainer: row ";
  for (std::size_t g = 0; g < data.size(); ++g) {
    std::size_t const count = data.offset[g + 1] - data.offset[g];
    if (L::arity != dynamic_arity ? count != L::arity : count == 0) {
      detail::broken(row + std::to_string(g) + " has " + std::to_string(count) +
                     " completions; this loss takes " +
                     (L::arity != dynamic_arity ? std::to_string(L::arity) : "at least 1"));
    }
  }
  if constexpr (list_size_of<L>() != 0) {
    for (std::size_t g = 0; g < data.size(); ++g) {
      expects_size(data.offset[g + 1] - data.offset[g], list_size_of<L>(), "trainer",
                   "a list of the data");
    }
  }
  column_set const read = reads(loss);
  choice_data::describe(data, [&](auto is, per, std::vector<float> const& column) {
    detail::expects_column(read, is, !column.empty() || beside.contains(is.name));
  });
  detail::expects_good_numbers(data, meaning_of<L>, L::arity == 2);
}

/// The same of a data set, which has at least one row, and columns that fit together.
template <Loss L>
void check_data(L const& loss, choice_data const& data) {
  expects(data.size() > 0, "trainer: the data set is empty");
  data.expects_shapes("trainer");
  check_examples(loss, data);
  bool const all_out =
      !data.weight.empty() && std::all_of(data.weight.begin(), data.weight.end(),
                                          [](float weight) { return weight == 0.0f; });
  expects(!all_out, "trainer: every row has weight 0: there is nothing to learn from");
}

/// Whether a policy's log_prob goes with a loss and the lengths of its examples: they are divided by once.
///
/// Errors  precondition_error for a policy whose log_prob is per token and a loss that divides it once more
template <Loss L, class P>
void check_lengths([[maybe_unused]] L const& loss, [[maybe_unused]] P& policy,
                   [[maybe_unused]] choice_data const& data) {
  if constexpr (requires { requires P::divides_by_length; } && meaning_of<L>.divides_by_length) {
    if (!reads(loss).contains(column_name::length)) return;
    std::vector<float> counted(data.completion.size());
    policy.length(data.batch(), std::span<float>(counted));
    for (std::size_t i = 0; i < counted.size(); ++i) {
      // What counts of a completion is a sum of weights, which rounds.
      if (std::abs(data.length[i] - counted[i]) <= 1e-3f * counted[i]) continue;
      detail::broken(
          "trainer: this loss divides by completion lengths, and this policy's log_prob is per "
          "token already; take sum_tokens, or the lengths of aggregated::length: completion " +
          std::to_string(i) + " of the data has length " + std::to_string(data.length[i]) +
          ", expected " + std::to_string(counted[i]));
    }
  }
}

/// Whether the completions of each row differ, for a policy that knows what their numbers stand for.
///
/// Errors  precondition_error naming the row
template <class P>
void check_completions([[maybe_unused]] P const& policy, choice_data const& data) {
  auto const same = [&](std::uint32_t a, std::uint32_t b) {
    if constexpr (requires { bool{policy.same_completion(a, b)}; }) {
      return a == b || policy.same_completion(a, b);
    } else {
      return a == b;
    }
  };
  for (std::size_t g = 0; g < data.size(); ++g) {
    for (std::size_t i = data.offset[g] + 1; i < data.offset[g + 1]; ++i) {
      for (std::size_t j = data.offset[g]; j < i; ++j) {
        if (!same(data.completion[i], data.completion[j])) continue;
        detail::broken("trainer: row " + std::to_string(g) +
                       " prefers a completion to itself: " + std::to_string(data.completion[j]) +
                       " and " + std::to_string(data.completion[i]) + " are the same");
      }
    }
  }
}

}  // namespace prefer::inline v0_1
