// SPDX-License-Identifier: MIT
#pragma once

#include <span>
#include <string>

#include <CLI/CLI.hpp>

#include "../sample/completions.hpp"
#include "ranking.hpp"

namespace make_pairs {

/// Who scores completions, and when two are a tie.
struct judge_options {
  std::string scorer;   ///< built in, by name
  std::string command;  ///< a shell command
  double min_margin = 0.0;
  bool keep_unfinished = false;

  /// Errors  precondition_error where both a scorer and a command are given
  void expect_one() const;
  [[nodiscard]] ranking_options ranked_as(row_form form) const {
    return {.form = form, .min_margin = min_margin, .keep_unfinished = keep_unfinished};
  }
};

/// Declares --scorer, --scorer-command, --min-margin and --keep-unfinished.
void add_judge_options(CLI::App& app, judge_options& given);

/// Scores all completions, whatever scores they had; of neither scorer nor command, by sentiment.
///
/// Errors  as expect_one; backend_error from the command; program::stop where somebody asked for the end while it was at work
void score(judge_options const& by, std::span<sample::answers> all);

}  // namespace make_pairs
