// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <prefer/dialect.hpp>

namespace prefer::inline v0_1::lm {

/// What a token of a vocabulary is for; the numbers are those of `tokenizer.ggml.token_type`.
enum class token_kind : std::uint8_t {
  normal = 1,
  unknown = 2,
  control = 3,       // a template writes it; a text is never it unless asked for
  user_defined = 4,  // a text is it wherever it stands, before anything is split
  unused = 5,
  byte = 6
};

/// A byte-level vocabulary and what a file says of its use, however the file wrote it.
struct tokenizer_data {
  std::string place;                // the file, for sentences
  std::vector<std::string> tokens;  // normal ones in the letters of bytes, others as they are
  std::vector<token_kind> kinds;    // one per token; empty: all are normal
  std::vector<std::pair<std::string, std::string>> merges;  // the first is merged first
  std::string pre_tokenizer;                                // a name of the table
  std::optional<bool> whole_tokens = {};  // "ignore_merges"; absent: as the table says
  std::optional<bool> normal_form_c =
      {};  // texts are put into that form; absent: as the table says
  std::vector<std::uint32_t> found_after =
      {};                               // user-defined ones that are looked for in that form
  std::optional<bool> adds_begin = {};  // absent: as the table says
  std::optional<std::uint32_t> begin = {};
  std::vector<std::uint32_t> ends = {};  // the first ends a completion, each ends an answer
  std::string chat_template = {};        // a Jinja text, or nothing
};

}  // namespace prefer::inline v0_1::lm
