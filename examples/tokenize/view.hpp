// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <prefer/data/example.hpp>
#include <prefer/data/truncation.hpp>
#include <prefer/lm/text/tokenizer.hpp>

namespace tokenize {

/// Who wrote the bytes of a token: the row, the chat template (or the tokenizer's begin and end), or both.
enum class writer { row, template_, both };
[[nodiscard]] std::string_view spelling(writer by);

/// One token as a model is fed with it.
struct fed_token {
  std::uint32_t id = 0;
  std::string text;  // of one token alone, with U+FFFD for the rest of a code point
  writer by = writer::row;
  bool cut = false;  // by truncation
};

/// A row as tokens: what is computed once, and what each completion adds.
struct fed_row {
  std::size_t line = 0;
  std::vector<fed_token> prompt;
  std::vector<std::string> names;  // "chosen", "rejected"
  std::vector<std::vector<fed_token>> completions;
  std::size_t shared = 0;  // tokens that all completions begin with alike; 0 of one completion
};

[[nodiscard]] fed_row view_of(prefer::data::preference_pair const& row,
                              prefer::lm::tokenizer const& words,
                              prefer::data::truncation const& limits);
[[nodiscard]] fed_row view_of(prefer::data::unpaired_example const& row,
                              prefer::lm::tokenizer const& words,
                              prefer::data::truncation const& limits);

/// A text on one line, as it may stand in a table: line ends and other control characters as escapes.
[[nodiscard]] std::string on_one_line(std::string_view text);

/// The text of one token alone.
[[nodiscard]] std::string text_of(prefer::lm::tokenizer const& words, std::uint32_t id);

}  // namespace tokenize
