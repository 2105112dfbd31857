// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <string>
#include <string_view>

#include <prefer/dialect.hpp>

namespace prefer::inline v0_1::lm {

/// How a family of vocabularies cuts a text into pre-tokens, within which alone tokens are merged.
struct pre_tokenizer {
  std::string_view name;     // as `tokenizer.ggml.pre` has it
  std::string_view pattern;  // as their tokenizer.json have it
  bool whole_tokens =
      false;  // a pre-token that is in the vocabulary is taken whole, whatever merges say
  bool adds_begin = false;  // a text begins with the begin token unless the file says otherwise
  bool normal_form_c =
      false;  // a text is put into Unicode's normal form C unless the file says otherwise
};

namespace detail {

inline constexpr std::string_view gpt2_pattern =
    R"('(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

// Digits are cut out first, one by one, and what is between them is cut as GPT-2 does, so that for white space the text
// ends before a digit.
inline constexpr std::string_view smollm_pattern =
    R"(\p{N}|'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+(?![^\s\p{N}])|\s+)";

inline constexpr std::string_view llama3_pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

inline constexpr std::string_view qwen2_pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

}  // namespace detail

/// The pre-tokenizers that are known, by every name that files call them.
///
/// Source  the pre_tokenizer members of the families' tokenizer.json; names and flags as llama.cpp gives them
inline constexpr std::array pre_tokenizers = {
    pre_tokenizer{"smollm", detail::smollm_pattern},
    pre_tokenizer{"gpt-2", detail::gpt2_pattern},
    pre_tokenizer{"llama-bpe", detail::llama3_pattern, true, true},
    pre_tokenizer{"llama3", detail::llama3_pattern, true, true},
    pre_tokenizer{"llama-v3", detail::llama3_pattern, true, true},
    pre_tokenizer{"falcon3", detail::llama3_pattern, true, true},
    pre_tokenizer{"falcon-h1", detail::llama3_pattern, true, true},
    pre_tokenizer{"pixtral", detail::llama3_pattern, true, true},
    pre_tokenizer{"midm-2.0", detail::llama3_pattern, true, true},
    pre_tokenizer{"lfm2", detail::llama3_pattern, true, true},
    pre_tokenizer{"smaug-bpe", detail::llama3_pattern},
    pre_tokenizer{"qwen2", detail::qwen2_pattern, false, false, true},
    pre_tokenizer{"deepseek-r1-qwen", detail::qwen2_pattern, false, false, true},
};

/// The entry of the table, or nullptr.
[[nodiscard]] constexpr pre_tokenizer const* find_pre_tokenizer(std::string_view name) {
  for (pre_tokenizer const& each : pre_tokenizers) {
    if (each.name == name) return &each;
  }
  return nullptr;
}

/// "smollm, gpt-2, ... or deepseek-r1-qwen", for sentences.
[[nodiscard]] inline std::string names_of_pre_tokenizers() {
  std::string all;
  for (pre_tokenizer const& each : pre_tokenizers) {
    bool const last = &each == &pre_tokenizers.back();
    all += (all.empty() ? "" : last ? " or " : ", ") + std::string(each.name);
  }
  return all;
}

}  // namespace prefer::inline v0_1::lm
