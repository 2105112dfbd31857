// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include <prefer/dialect.hpp>

namespace prefer::inline v0_1::text {

/// One code point of a UTF-8 text and the number of bytes it takes. A byte that does not belong to
/// well-formed UTF-8 reads as U+FFFD of one byte, so that a loop over any bytes ends.
struct code_point {
  char32_t value = 0xFFFD;
  std::size_t bytes = 1;
};

/// True for a byte of UTF-8 that no code point begins with.
[[nodiscard]] constexpr bool continues_code_point(char byte) noexcept {
  return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U;
}

/// The code point that starts at byte `at`, which must lie inside `text`.
///
/// Source  The Unicode Standard, table 3-7: overlong forms, surrogates and values above U+10FFFF are
///         ill-formed
[[nodiscard]] constexpr code_point decode(std::string_view text, std::size_t at) {
  auto const byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  unsigned const lead = byte(at);
  if (lead < 0x80) return {.value = lead, .bytes = 1};
  std::size_t const bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || at + bytes > text.size()) return {};
  char32_t value = lead & (0xFFU >> (bytes + 1));
  for (std::size_t i = 1; i < bytes; ++i) {
    if (!continues_code_point(text[at + i])) return {};
    value = (value << 6U) | (byte(at + i) & 0x3FU);
  }
  constexpr char32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
  bool const surrogate = value >= 0xD800 && value <= 0xDFFF;
  if (value < smallest[bytes] || surrogate || value > 0x10FFFF) return {};
  return {.value = value, .bytes = bytes};
}

/// Terminal cells that a code point takes: 0 for combining marks and joiners, 2 for East Asian wide
/// characters and emoji, otherwise 1. Block-wise, not the full Unicode table.
[[nodiscard]] constexpr std::size_t display_width(char32_t c) {
  auto const in = [c](char32_t first, char32_t last) { return c >= first && c <= last; };
  if (in(0x0300, 0x036F) || in(0x200B, 0x200F) || in(0x20D0, 0x20FF) || in(0xFE00, 0xFE0F))
    return 0;
  if (in(0x1100, 0x115F) || in(0x2E80, 0x303E) || in(0x3041, 0xA4CF) || in(0xAC00, 0xD7A3) ||
      in(0xF900, 0xFAFF) || in(0xFE30, 0xFE6F) || in(0xFF00, 0xFF60) || in(0xFFE0, 0xFFE6) ||
      in(0x1F300, 0x1F64F) || in(0x1F900, 0x1F9FF) || in(0x20000, 0x3FFFD)) {
    return 2;
  }
  return 1;
}

/// Terminal cells that a UTF-8 text takes; one per byte that is not well-formed.
[[nodiscard]] constexpr std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  for (std::size_t at = 0; at < text.size();) {
    auto const c = decode(text, at);
    width += display_width(c.value);
    at += c.bytes;
  }
  return width;
}

/// Offset of the first byte that cannot belong to a UTF-8 text, counted from 0.
///
/// Overlong forms, surrogates and values above U+10FFFF are invalid; so is a sequence cut off by the end.
///
/// Source  RFC 3629, section 4
[[nodiscard]] constexpr std::optional<std::size_t> first_invalid_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    code_point const c = decode(text, at);
    bool const replaced = c.value == 0xFFFD && c.bytes == 1;  // U+FFFD itself takes three bytes
    if (replaced) return at;
    at += c.bytes;
  }
  return std::nullopt;
}

/// Bytes in the longest common beginning of two UTF-8 texts that ends between two code points.
///
/// Code points, not characters as a reader sees them: "e" and "e" + U+0301 (combining acute) have
/// "e" in common.
[[nodiscard]] constexpr std::size_t common_prefix(std::string_view a, std::string_view b) noexcept {
  auto const continues = [](std::string_view text, std::size_t at) {
    return at < text.size() && continues_code_point(text[at]);
  };
  std::size_t const shorter = std::min(a.size(), b.size());
  std::size_t length = 0;
  while (length < shorter && a[length] == b[length]) ++length;
  while (length > 0 && (continues(a, length) || continues(b, length))) --length;
  return length;
}

/// Appends a code point, which is no surrogate and at most U+10FFFF, as UTF-8.
///
/// Source  RFC 3629, section 3
constexpr void append_utf8(char32_t c, std::string& into) {
  auto const lead = [&](unsigned mark, unsigned shift) {
    into += static_cast<char>(mark | (static_cast<unsigned>(c) >> shift));
  };
  auto const tail = [&](unsigned shift) {
    into += static_cast<char>(0x80U | ((static_cast<unsigned>(c) >> shift) & 0x3FU));
  };
  if (c < 0x80) return lead(0, 0);
  if (c < 0x800) {
    lead(0xC0, 6);
  } else if (c < 0x10000) {
    lead(0xE0, 12);
    tail(6);
  } else {
    lead(0xF0, 18);
    tail(12);
    tail(6);
  }
  tail(0);
}

/// A text of ISO 8859-1, in which every byte is the code point of its number, as UTF-8.
[[nodiscard]] inline std::string from_latin1(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (char const c : text) append_utf8(static_cast<unsigned char>(c), out);
  return out;
}

}  // namespace prefer::inline v0_1::text
