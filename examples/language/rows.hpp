// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/batch/columns.hpp>
#include <prefer/batch/token_sequences.hpp>
#include <prefer/data/reading.hpp>
#include <prefer/data/truncation.hpp>
#include <prefer/lm/text/tokenizer.hpp>

#include "row_options.hpp"

namespace language {

/// What a row is to a loss.
enum class row_kind : std::uint8_t {
  pairs,           ///< chosen and rejected
  labels,          ///< one completion, desirable or not
  lists,           ///< completions, the best first
  demonstrations,  ///< one completion, to be made likely
};

/// What a loss takes of rows.
struct wanted_rows {
  row_kind kind = row_kind::pairs;
  prefer::column_set takes = {};  ///< the columns that it reads where they are there
  bool kl_examples = false;       ///< completions of other prompts too
};

/// A file of preferences as a model takes them.
struct encoded_rows {
  std::string path;
  row_kind kind = row_kind::pairs;
  prefer::choice_data data;
  prefer::data::reading_report read;
  prefer::data::encode_report encoded;
  std::vector<std::string> notes;  ///< what was made of rows of another kind, a sentence each
};

/// The limits that options come to for a model.
///
/// Errors  precondition_error for more tokens than the context has, and for prompts that leave no room
[[nodiscard]] prefer::data::truncation limits_of(row_options const& options, std::size_t context);

/// Reads rows of any form, turns them into what is wanted, and into tokens, which `into` takes.
///
/// Where other rows are wanted, pairs become two labelled rows, a list of two, or their chosen completions as
/// demonstrations; of labelled rows those that are desirable are demonstrations, and of lists the best. A demonstration may
/// be a prompt and a completion without a label.
///
/// Errors  backend_error with file and line
[[nodiscard]] encoded_rows read_rows(std::string const& path, wanted_rows const& wanted,
                                     row_options const& options, prefer::lm::tokenizer const& words,
                                     std::size_t context, prefer::token_sequences& into);

/// Whether a file's first row is a pair, or scored completions that pairs are made of.
[[nodiscard]] bool begins_with_a_pair(std::string const& path, row_options const& options);

/// What was cut and what was left out, in a sentence: prompts, and each side's completions.
[[nodiscard]] std::string cut_in_words(encoded_rows const& rows);

/// A set of rows by the name that people know it by.
struct named_rows {
  char const* name;
  encoded_rows const* rows;
};

/// Says how rows were read, what was made of them and what was cut, and warns of duplicates, contradictions and what else
/// an audit finds, also between the sets. Lengths are in tokens.
void say_rows(std::vector<named_rows> const& sets, prefer::token_sequences const& texts);

}  // namespace language
