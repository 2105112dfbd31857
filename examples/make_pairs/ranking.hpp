// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "../sample/completions.hpp"

namespace make_pairs {

/// What becomes of the completions of one prompt.
enum class row_form {
  best_worst,  // the first of the highest score against the first of the lowest: one row
  all_pairs,   // every two that are far enough apart: up to n (n - 1) / 2 rows
  list         // one row with all, the best first, of equal scores the first alone
};

struct ranking_options {
  row_form form = row_form::best_worst;
  double min_margin = 0.0;       // scores that are no further apart are a tie
  bool keep_unfinished = false;  // completions that were cut at the most tokens
};

/// What was made of completions, and what was left out, each counted once under the first that applies.
struct tally {
  std::size_t prompts = 0;
  std::size_t completions = 0;
  std::size_t blank = 0;       // completions without a character
  std::size_t broken = 0;      // of which bytes are no character
  std::size_t unfinished = 0;  // that were cut
  std::size_t repeated = 0;    // that an earlier one of the prompt equals
  std::size_t tied = 0;  // prompts whose completions are all equally good, and pairs with all_pairs
  std::size_t alone = 0;       // prompts with fewer than two completions left
  std::size_t unreadable = 0;  // rows that a reader of preferences would not take as they are
  std::size_t rows = 0;
  double score_best = 0.0;  // sums over rows: of the first and of the last of a list
  double score_worst = 0.0;
  double tokens_best = 0.0;
  double tokens_worst = 0.0;
};

/// Completions of one prompt, the best first: chosen and rejected, or a list.
using ranked_group = std::vector<sample::completion const*>;

/// Makes preferences of completions that have scores.
class ranking {
 public:
  explicit ranking(ranking_options const& options) : options_(options) {}

  /// What is preferred to what among the completions of one prompt, which outlive it.
  /// Errors  precondition_error for a completion without a score
  [[nodiscard]] std::vector<ranked_group> groups_of(sample::answers const& of_prompt);

  /// The same as rows, a line each without its end: {"prompt", "chosen", "rejected", "score_chosen", "score_rejected"}, or for
  /// lists {"prompt", "completions", "scores"}, as prefer::data reads them. Every row is read back before it is given out.
  [[nodiscard]] std::vector<std::string> rows_of(sample::answers const& of_prompt);

  [[nodiscard]] tally const& counted() const { return tally_; }

 private:
  [[nodiscard]] std::vector<sample::completion const*> usable(sample::answers const& of_prompt);
  [[nodiscard]] std::vector<ranked_group> find_groups(sample::answers const& of_prompt);
  void count(ranked_group const& group);

  ranking_options options_;
  tally tally_;
};

/// The tally in sentences, a line each.
[[nodiscard]] std::vector<std::string> to_sentences(tally const& of, row_form form);

}  // namespace make_pairs
