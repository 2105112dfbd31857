// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include <prefer/data/example.hpp>

namespace prefer::data {

/// Turns texts into tokens.
///
/// Semantics  encode appends the tokens of `text` to `into`, each less than vocabulary(); the same text gives the same
///            tokens, whatever came before. A tokenizer may also have
///
///              std::uint32_t begin_token() const;   stands before every prompt
///              std::uint32_t end_token() const;     stands behind every completion that was not cut
///
///            and, for files with messages, be a ChatTokenizer
template <class T>
concept Tokenizer =
    requires(T const& tokenizer, std::string_view text, std::vector<std::uint32_t>& into) {
      tokenizer.encode(text, into);
      { tokenizer.vocabulary() } -> std::convertible_to<std::size_t>;
    };

/// Which part of a row messages are: a chat template opens the answer behind a prompt.
enum class turn_part { prompt, completion };

/// A tokenizer with a chat template: encode appends the tokens of messages.
template <class T>
concept ChatTokenizer = Tokenizer<T> && requires(T const& tokenizer, conversation const& messages,
                                                 turn_part part, std::vector<std::uint32_t>& into) {
  tokenizer.encode(messages, part, into);
};

}  // namespace prefer::data
