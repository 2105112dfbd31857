// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include <prefer/batch/columns.hpp>
#include <prefer/batch/each_column.hpp>

namespace prefer {

/// One element of a batch that makes its loss meaningless.
struct finding {
  std::string column;   ///< "policy.chosen", "length.rejected", ...
  std::size_t row = 0;  ///< counted from 0
  double value = 0.0;
  std::string sentence;  ///< what is wrong and what was expected
};

namespace detail {

/// What a column's numbers can be, and how a sentence says so.
struct expected_number {
  bool (*good)(double);
  char const* sentence;
};
[[nodiscard]] constexpr expected_number expected_of(column_rule rule) {
  constexpr auto finite = [](double x) { return std::isfinite(x); };
  constexpr auto positive = [](double x) { return x > 0.0 && std::isfinite(x); };
  switch (rule) {
    case column_rule::log_prob:
      return {finite, "a finite log-probability"};
    case column_rule::tokens:
      return {positive, "at least one token"};
    case column_rule::positive:
      return {positive, "a finite number greater than zero"};
    default:
      return {finite, "a finite number"};
  }
}

inline void find_first(column const& c, std::string const& name, expected_number const& expected,
                       std::vector<finding>& out) {
  for (std::size_t i = 0; i < c.size(); ++i) {
    if (expected.good(c[i])) continue;
    out.push_back({name, i, c[i],
                   name + "[" + std::to_string(i) + "] is " + std::to_string(c[i]) + "; expected " +
                       expected.sentence});
    return;
  }
}

}  // namespace detail

/// Looks through a batch for what evaluate lets flow through: the first bad element of every column. Empty
/// for a good batch. Reads every element, so ask when a report shows NaN, not in every step.
template <class Columns>
[[nodiscard]] std::vector<finding> diagnose(Columns const& batch) {
  std::vector<finding> out;
  detail::for_each_column(batch, [&](auto is, per, column_side side, column const& one) {
    detail::find_first(one, detail::label_of(is.spelling, side), detail::expected_of(is.rule), out);
  });
  return out;
}

}  // namespace prefer
