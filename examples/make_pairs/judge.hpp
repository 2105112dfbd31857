// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include <CLI/CLI.hpp>

#include "../language/model_options.hpp"
#include "../sample/completions.hpp"
#include "../sample/scorer.hpp"
#include "ranking.hpp"

namespace make_pairs {

/// Who scores completions, and when two are a tie.
struct judge_options {
  sample::scorer_options scorer;  ///< by name; without one and without a command by sentiment
  std::string command;            ///< a shell command
  double min_margin = 0.0;
  bool keep_unfinished = false;

  /// Errors  precondition_error where both a scorer and a command are given
  void expect_one() const;
  [[nodiscard]] ranking_options ranked_as(row_form form) const {
    return {.form = form, .min_margin = min_margin, .keep_unfinished = keep_unfinished};
  }
};

/// Declares --scorer and what goes with it, --scorer-command, --min-margin and --keep-unfinished.
void add_judge_options(CLI::App& app, judge_options& given);

/// A judge at work.
class judge {
 public:
  /// `writer` is the model whose completions it scores.
  ///
  /// Errors  as expect_one and sample::open_scorer
  judge(judge_options const& by, language::model_options const& writer);

  /// Whether it can judge answers of so many tokens to these prompts, as sample::scorer says.
  void expect_room(std::span<prefer::data::turns const> prompts, std::size_t most) const;
  /// Scores all completions, whatever scores they had.
  ///
  /// Errors  those of the scorer; backend_error from the command; program::stop where somebody asked for the end meanwhile
  void score(std::span<sample::answers> all);
  /// Stands for what scores depend on besides the completions; of a command its words.
  [[nodiscard]] std::uint64_t identity() const;

 private:
  std::string command_;
  std::unique_ptr<sample::scorer> scorer_;  // without a command
};

}  // namespace make_pairs
