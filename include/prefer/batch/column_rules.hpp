// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>

#include <prefer/batch/columns.hpp>

// Which numbers a column can hold. Nothing here is asked while a loss is evaluated: data sets, readers and diagnose ask.

namespace prefer::inline v0_1 {

/// What a loss takes the score of a completion for.
enum class score_kind : std::uint8_t {
  none,            ///< it does not say, or reads no score
  reward,          ///< of any sign and scale; which completion has more does not matter
  ordered_reward,  ///< a reward; that of chosen is the higher, and those of a list never rise
  win_probability  ///< against another completion of the same prompt, in [0, 1]
};
[[nodiscard]] constexpr char const* to_string(score_kind kind) {
  switch (kind) {
    case score_kind::reward:
      return "a reward";
    case score_kind::ordered_reward:
      return "a reward; the preferred is higher";
    case score_kind::win_probability:
      return "a probability of winning";
    case score_kind::none:
      break;
  }
  return "";
}

/// What a loss takes the numbers of its batch for, where the columns do not say it.
struct batch_meaning {
  score_kind score = score_kind::none;
  bool policy_is_score = false;   ///< policy and reference are scores of any sign
  bool divides_by_length = true;  ///< log-probabilities, where it reads lengths
};

/// Which numbers are good, and how a sentence says so.
struct number_rule {
  bool (*holds)(double);
  char const* expected;
};

namespace detail {

/// How far rounding may carry what cannot be above 0: half a unit in the last place of float for each token of a completion
/// of sixteen thousand.
inline constexpr double rounding_allowed = 1e-3;  // nats

[[nodiscard]] inline bool is_finite(double x) { return std::isfinite(x); }
[[nodiscard]] inline bool is_log_prob(double x) {
  return std::isfinite(x) && x <= rounding_allowed;
}
[[nodiscard]] inline bool is_divergence(double x) {
  return std::isfinite(x) && x >= -rounding_allowed;
}
[[nodiscard]] inline bool is_truth(double x) { return x == 0.0 || x == 1.0; }
[[nodiscard]] inline bool is_positive(double x) { return std::isfinite(x) && x > 0.0; }
[[nodiscard]] inline bool is_not_negative(double x) { return std::isfinite(x) && x >= 0.0; }
[[nodiscard]] inline bool is_below_one(double x) { return x >= 0.0 && x < 1.0; }
[[nodiscard]] inline bool is_probability(double x) { return x >= 0.0 && x <= 1.0; }

}  // namespace detail

/// The rule of a kind of numbers.
[[nodiscard]] constexpr number_rule rule_of(column_rule rule) {
  switch (rule) {
    case column_rule::log_prob:
      return {detail::is_log_prob, "a log-probability, finite and at most 0"};
    case column_rule::divergence:
      return {detail::is_divergence, "a finite divergence, zero or greater"};
    case column_rule::tokens:
      return {detail::is_positive, "a finite number of tokens, greater than zero"};
    case column_rule::truth:
      return {detail::is_truth, "true or 1, or false or 0"};
    case column_rule::positive:
      return {detail::is_positive, "a finite number greater than zero"};
    case column_rule::non_negative:
      return {detail::is_not_negative, "a finite number, zero or greater"};
    case column_rule::uniform:
      return {detail::is_below_one, "a number from 0 up to, not including, 1"};
    case column_rule::probability:
      return {detail::is_probability, "a probability, from 0 to 1"};
    case column_rule::finite:
      break;
  }
  return {detail::is_finite, "a finite number"};
}

/// The rule of a column for a loss that takes its batch to mean this.
template <column_name Name, column_rule Rule>
[[nodiscard]] constexpr number_rule rule_of(column_description<Name, Rule>,
                                            batch_meaning const& meaning) {
  if (Name == column_name::score && meaning.score == score_kind::win_probability) {
    return rule_of(column_rule::probability);
  }
  if (Rule == column_rule::log_prob && meaning.policy_is_score) return rule_of(column_rule::finite);
  return rule_of(Rule);
}

namespace detail {

/// "-1; expected a finite number, zero or greater"
[[nodiscard]] inline std::string found(double value, char const* expected) {
  return std::to_string(value) + "; expected " + expected;
}

}  // namespace detail

/// The place of the first number that breaks its rule; `count` if none does.
[[nodiscard]] std::size_t first_breaking(auto const& numbers, std::size_t count,
                                         number_rule const& rule) {
  for (std::size_t i = 0; i < count; ++i) {
    if (!rule.holds(static_cast<double>(numbers[i]))) return i;
  }
  return count;
}

/// The first completion in [begin, end) whose score contradicts its place: of pairs, rejected has to be below chosen; in
/// lists scores may not rise. `end` if none does.
[[nodiscard]] std::size_t first_out_of_order(auto const& score, std::size_t begin, std::size_t end,
                                             bool ties) {
  for (std::size_t i = begin + 1; i < end; ++i) {
    if (!(ties ? score[i] <= score[i - 1] : score[i] < score[i - 1])) return i;
  }
  return end;
}

}  // namespace prefer::inline v0_1
