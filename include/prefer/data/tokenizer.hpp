// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include <prefer/data/example.hpp>

namespace prefer::inline v0_1::data {

namespace detail {

template <class T>
concept encodes_texts =
    requires(T const& tokenizer, std::string_view text, std::vector<std::uint32_t>& into) {
      tokenizer.encode(text, into);
    };
template <class T>
concept has_vocabulary = requires(T const& tokenizer) {
  { tokenizer.vocabulary() } -> std::convertible_to<std::size_t>;
};

}  // namespace detail

/// Turns texts into tokens.
///
/// Semantics  encode appends the tokens of `text` to `into`, each less than vocabulary(); the same text gives the same
///            tokens, whatever came before. A tokenizer may also have
///
///              std::uint32_t begin_token() const;   stands before every prompt
///              std::uint32_t end_token() const;     stands behind every completion that was not cut
///
///            of type std::optional<std::uint32_t> where some vocabularies have none; messages get theirs from the
///            template. What cannot be encoded is a backend_error. For files with messages it may be a ChatTokenizer
template <class T>
concept Tokenizer = detail::encodes_texts<T> && detail::has_vocabulary<T>;

/// Which part of a row messages are: a chat template opens the answer behind a prompt.
enum class turn_part { prompt, completion };

/// A tokenizer with a chat template: encode appends the tokens of messages. Rows with tools, documents or
/// chat_template_kwargs ask for one that also has
///
///   void encode(conversation const& prompt, members const& context, std::vector<std::uint32_t>& into) const;
///
/// and are refused by name where it has not.
template <class T>
concept ChatTokenizer = Tokenizer<T> && requires(T const& tokenizer, conversation const& messages,
                                                 turn_part part, std::vector<std::uint32_t>& into) {
  tokenizer.encode(messages, part, into);
};

}  // namespace prefer::inline v0_1::data

namespace prefer::inline v0_1::check {

/// For the first line of a "bring your own tokenizer" file: static_assert(prefer::check::tokenizer<mine>());
template <class T>
consteval bool tokenizer() {
  static_assert(data::detail::encodes_texts<T>,
                "prefer: a tokenizer has encode(std::string_view text, "
                "std::vector<std::uint32_t>& into) const, which appends");
  static_assert(data::detail::has_vocabulary<T>,
                "prefer: a tokenizer has vocabulary() const, how many tokens there are");
  return true;
}

}  // namespace prefer::inline v0_1::check
