// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <prefer/batch/column_rules.hpp>
#include <prefer/batch/columns.hpp>
#include <prefer/batch/each_column.hpp>

namespace prefer::inline v0_1 {

/// One element of a batch that makes its loss meaningless.
struct finding {
  std::string column;   ///< "policy.chosen", "length.rejected", ...
  std::size_t row = 0;  ///< counted from 0
  double value = 0.0;
  std::string sentence;  ///< what is wrong and what was expected
};

namespace detail {

inline void find_first(column const& c, std::string const& name, number_rule const& rule,
                       std::vector<finding>& out) {
  std::size_t const i = first_breaking(c, c.size(), rule);
  if (i == c.size()) return;
  out.push_back(
      {name, i, c[i], name + "[" + std::to_string(i) + "] is " + found(c[i], rule.expected)});
}

inline void find_score_out_of_order(pair_columns const& batch, std::vector<finding>& out) {
  for (std::size_t i = 0; i < batch.score.chosen.size(); ++i) {
    double const score[] = {batch.score.chosen[i], batch.score.rejected[i]};
    if (first_out_of_order(score, 0, 2, false) == 2) continue;
    out.push_back({"score.rejected", i, score[1],
                   "score.rejected[" + std::to_string(i) + "] is " +
                       found(score[1], "a reward below that of chosen, ") +
                       std::to_string(score[0])});
    return;
  }
}
inline void find_score_out_of_order(list_columns const& batch, std::vector<finding>& out) {
  for (std::size_t g = 0; g < batch.size(); ++g) {
    std::size_t const end = batch.offset[g + 1];
    std::size_t const i = first_out_of_order(batch.score, batch.offset[g], end, true);
    if (i >= end) continue;
    out.push_back({"score", i, batch.score[i],
                   "score[" + std::to_string(i) + "] of list " + std::to_string(g) + " is " +
                       found(batch.score[i], "at most the one before it, ") +
                       std::to_string(batch.score[i - 1])});
    return;
  }
}

}  // namespace detail

/// Looks through a batch for what evaluate lets flow through: the first bad element of every column, in the order of the
/// description. Empty for a good batch. Reads every element, so ask when a report shows NaN, not in every step.
///
/// `meaning` is what a loss takes the batch for: `diagnose(batch, meaning_of<sppo_soft>)` also finds a score that is no
/// probability, and one that contradicts the order that the loss asks for.
///
/// Log-probabilities are those of discrete completions, at most 0 up to rounding. The logarithm of a density may be
/// greater, and is then found here without a fault.
template <class Columns>
[[nodiscard]] std::vector<finding> diagnose(Columns const& batch,
                                            batch_meaning const& meaning = {}) {
  std::vector<finding> out;
  detail::for_each_column(batch, [&](auto is, per, column_side side, column const& one) {
    detail::find_first(one, detail::label_of(is.spelling, side), rule_of(is, meaning), out);
  });
  if constexpr (requires { detail::find_score_out_of_order(batch, out); }) {
    if (meaning.score == score_kind::ordered_reward) detail::find_score_out_of_order(batch, out);
  }
  return out;
}

}  // namespace prefer::inline v0_1
