// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <prefer/text/utf8.hpp>

namespace prefer::inline v0_1::text {

namespace detail {

constexpr bool is_digit(char32_t c) { return c >= '0' && c <= '9'; }
constexpr bool is_ascii_letter(char32_t c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/// Part of a word that goes on: letters and digits of scripts that put spaces between words. An ideograph is a word of its
/// own; so are U+00A0 to U+00BF and U+2000 to U+206F, spaces and punctuation.
constexpr bool in_word(char32_t c) {
  if (c < 0x80) return is_digit(c) || is_ascii_letter(c) || c == '_';
  if (c <= 0xBF) return c == 0xAA || c == 0xB5 || c == 0xBA;
  return display_width(c) == 1 && !(c >= 0x2000 && c <= 0x206F) && c != 0xFFFD;
}
/// Between two letters these are part of the word: can't, e-mail, person@host, 3.14.
constexpr bool joins_words(char32_t c) {
  return c == '\'' || c == 0x2019 || c == '-' || c == '@' || c == '.' || c == '/';
}
constexpr bool is_regional_indicator(char32_t c) { return c >= 0x1F1E6 && c <= 0x1F1FF; }
/// Never begins a character as a reader sees it: a combining mark, a joiner, a skin tone.
constexpr bool continues_character(char32_t c) {
  return display_width(c) == 0 || (c >= 0x1F3FB && c <= 0x1F3FF);
}
/// The code point that ends before byte `at`, which is not 0.
constexpr char32_t code_point_before(std::string_view text, std::size_t at) {
  std::size_t begin = at - 1;
  while (begin > 0 && continues_code_point(text[begin])) --begin;
  return decode(text, begin).value;
}
constexpr bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

}  // namespace detail

/// True if byte `at` of a text is no place to cut it: inside a code point, a character of several code points, or a word.
///
/// A word is letters, digits and underscores, with single hyphens, dots and their like between them; where a script has
/// no spaces between words, as Chinese, every character is one.
[[nodiscard]] constexpr bool inside_word(std::string_view text, std::size_t at) {
  if (at == 0 || at >= text.size()) return false;
  if (continues_code_point(text[at])) return true;
  char32_t const before = detail::code_point_before(text, at);
  code_point const after = decode(text, at);
  if (detail::continues_character(after.value) || before == 0x200D) return true;
  if (detail::is_regional_indicator(before) && detail::is_regional_indicator(after.value))
    return true;
  if (detail::in_word(before)) {
    if (detail::in_word(after.value)) return true;
    std::size_t const next = at + after.bytes;
    return detail::joins_words(after.value) && next < text.size() &&
           detail::in_word(decode(text, next).value);
  }
  if (!detail::joins_words(before) || !detail::in_word(after.value)) return false;
  std::size_t const joint = at - (before == 0x2019 ? 3 : 1);
  return joint > 0 && detail::in_word(detail::code_point_before(text, joint));
}

/// True for a text that says something: two words or more, and at least ten columns wide. "The sky is" does, "I think"
/// and "user 12" do not.
[[nodiscard]] constexpr bool is_a_few_words(std::string_view text) {
  constexpr std::size_t least_width = 10;
  std::size_t words = 0;
  std::size_t width = 0;
  bool in_word = false;
  for (std::size_t at = 0; at < text.size();) {
    code_point const c = decode(text, at);
    bool const of_word = detail::in_word(c.value);
    std::size_t const cells = display_width(c.value);
    words += (of_word && !in_word) || (!of_word && cells == 2) ? 1 : 0;
    in_word = of_word;
    width += cells;
    at += c.bytes;
  }
  return words >= 2 && width >= least_width;
}

/// True if `text` begins with `beginning` when any white space is as good as any other, and none at either's start and at
/// the end of `beginning`, where no word may go on.
[[nodiscard]] constexpr bool begins_with_words_of(std::string_view text,
                                                  std::string_view beginning) {
  auto const trimmed = [](std::string_view of) {
    while (!of.empty() && detail::is_space(of.front())) of.remove_prefix(1);
    return of;
  };
  text = trimmed(text);
  beginning = trimmed(beginning);
  while (!beginning.empty() && detail::is_space(beginning.back())) beginning.remove_suffix(1);
  std::size_t at = 0;
  for (std::size_t i = 0; i < beginning.size();) {
    if (detail::is_space(beginning[i])) {
      if (at == text.size() || !detail::is_space(text[at])) return false;
      while (i < beginning.size() && detail::is_space(beginning[i])) ++i;
      while (at < text.size() && detail::is_space(text[at])) ++at;
      continue;
    }
    if (at == text.size() || text[at] != beginning[i]) return false;
    ++at;
    ++i;
  }
  return !beginning.empty() && !inside_word(text, at);
}

/// The words of a column's name, in small letters: "userPrompt", "user_prompt" and "User prompt" are user, prompt.
[[nodiscard]] inline std::vector<std::string> words_of_name(std::string_view name) {
  std::vector<std::string> words;
  bool begins = true;
  bool before_was_small = false;
  for (char const c : name) {
    auto const letter = static_cast<unsigned char>(c);
    bool const large = c >= 'A' && c <= 'Z';
    if (!detail::is_ascii_letter(letter)) {
      begins = true;
      before_was_small = false;
      continue;
    }
    if (begins || (large && before_was_small)) words.emplace_back();
    words.back() += large ? static_cast<char>(c - 'A' + 'a') : c;
    begins = false;
    before_was_small = !large;
  }
  return words;
}

}  // namespace prefer::inline v0_1::text
