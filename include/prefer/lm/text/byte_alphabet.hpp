// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include <prefer/text/utf8.hpp>

namespace prefer::inline v0_1::lm {

namespace detail {

/// The letter of every byte: a byte that prints stands for itself, and the others take U+0100 and what follows, in their
/// order.
///
/// Source  Radford et al. 2019 (GPT-2), whose vocabularies are written so
constexpr std::array<char32_t, 256> byte_letters() {
  std::array<char32_t, 256> letter{};
  char32_t next = 0x100;
  for (char32_t byte = 0; byte < 256; ++byte) {
    bool const prints =
        (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    letter[byte] = prints ? byte : next++;
  }
  return letter;
}

/// The byte behind every letter from U+0000 to U+0143, or 256 where there is none.
constexpr std::array<unsigned short, 0x144> letter_bytes() {
  std::array<unsigned short, 0x144> byte{};
  for (auto& each : byte) each = 256;
  constexpr auto letters = byte_letters();
  for (std::size_t b = 0; b < 256; ++b) byte[letters[b]] = static_cast<unsigned short>(b);
  return byte;
}

}  // namespace detail

/// The bytes that a token of a byte-level vocabulary stands for: "Ġthe" is " the". Nothing if a character is no letter
/// of that alphabet.
[[nodiscard]] inline std::optional<std::string> bytes_of_letters(std::string_view token) {
  static constexpr auto byte = detail::letter_bytes();
  std::string out;
  for (std::size_t at = 0; at < token.size();) {
    auto const letter = text::decode(token, at);
    if (letter.value >= byte.size() || byte[letter.value] == 256) return std::nullopt;
    out += static_cast<char>(byte[letter.value]);
    at += letter.bytes;
  }
  return out;
}

/// The token that a byte-level vocabulary writes for these bytes.
[[nodiscard]] inline std::string letters_of_bytes(std::string_view bytes) {
  static constexpr auto letters = detail::byte_letters();
  std::string out;
  for (char const each : bytes) {
    text::append_utf8(letters[static_cast<unsigned char>(each)], out);
  }
  return out;
}

}  // namespace prefer::inline v0_1::lm
