// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include <CLI/CLI.hpp>

#include <prefer/data/example.hpp>

#include "../language/model_options.hpp"
#include "completions.hpp"

// Who scores completions, for all programs that take --scorer: a rule that is built in, or a reward model.

namespace sample {

/// What a user says of the judge.
struct scorer_options {
  std::string name;         ///< built in, or reward:FOLDER[,FOLDER...]; empty: none
  std::string model;        ///< what reward models are adapters of; empty: the model that writes
  double deviations = 0.0;  ///< what an ensemble of them takes off for disagreeing

  /// Errors  precondition_error for what is said of reward models where there is none, or one of what takes several
  void expect_sense() const;
};

/// Declares --scorer, said to be for `what`, --scorer-model and --scorer-deviations.
void add_scorer_options(CLI::App& app, scorer_options& given, std::string const& what);

/// The part of a program's --help that says what --scorer takes.
[[nodiscard]] std::string scorers_in_words();

/// A completion that is to have a score.
struct unscored {
  prefer::data::turns const* prompt = nullptr;
  completion* what = nullptr;
};

/// Gives completions their scores.
///
/// Semantics  a score depends on the prompt and the text alone, to the bit
class scorer {
 public:
  virtual ~scorer() = default;

  /// Sets the score of each. Those of one prompt that stand together are asked about together, which is faster.
  ///
  /// Errors  precondition_error for what does not fit into a reward model's context, and for a score that is not finite;
  ///         program::stop where somebody asked for the end
  virtual void score(std::span<unscored const> all) = 0;
  /// Before anything is written: whether answers of so many tokens to these prompts can be judged.
  ///
  /// Errors  precondition_error naming the first prompt that is too long for it
  virtual void expect_room(std::span<prefer::data::turns const> prompts,
                           std::size_t most) const = 0;
  /// Stands for what the scores depend on besides the completions.
  [[nodiscard]] virtual std::uint64_t identity() const = 0;

 protected:
  scorer() = default;
  scorer(scorer const&) = default;
  scorer& operator=(scorer const&) = default;
};

/// The judge of these options. A reward model is opened as `writer`, the model that writes, is: the same products, storage and
/// threads, and, where it is an adapter of the same file, the same weights in memory.
///
/// Errors  precondition_error for options that do not go together; backend_error for a folder without a reward model, one of
///         another model, and for members with other tokenizers
[[nodiscard]] std::unique_ptr<scorer> open_scorer(scorer_options const& given,
                                                  language::model_options const& writer);

}  // namespace sample
