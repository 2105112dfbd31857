// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string_view>

namespace prefer::data {

/// Offset of the first byte that cannot belong to a UTF-8 text, counted from 0.
///
/// Overlong forms, surrogates and values above U+10FFFF are invalid; so is a sequence cut off by
/// the end.
///
/// Source  RFC 3629, section 4
[[nodiscard]] constexpr std::optional<std::size_t> first_invalid_utf8(
    std::string_view text) noexcept {
  auto const byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  std::size_t at = 0;
  while (at < text.size()) {
    unsigned const lead = byte(at);
    if (lead < 0x80u) {
      ++at;
      continue;
    }
    std::size_t const length = lead < 0xC2u   ? 0
                               : lead < 0xE0u ? 2
                               : lead < 0xF0u ? 3
                               : lead < 0xF5u ? 4
                                              : 0;
    if (length == 0 || text.size() - at < length) return at;
    // The second byte's range is what rules out overlong forms, surrogates and values above
    // U+10FFFF.
    unsigned const least = lead == 0xE0u ? 0xA0u : lead == 0xF0u ? 0x90u : 0x80u;
    unsigned const most = lead == 0xEDu ? 0x9Fu : lead == 0xF4u ? 0x8Fu : 0xBFu;
    if (byte(at + 1) < least || byte(at + 1) > most) return at;
    for (std::size_t i = 2; i < length; ++i) {
      if ((byte(at + i) & 0xC0u) != 0x80u) return at;
    }
    at += length;
  }
  return std::nullopt;
}

/// Bytes in the longest common beginning of two UTF-8 texts that ends between two code points.
///
/// Code points, not characters as a reader sees them: "e" and "e" + U+0301 (combining acute) have
/// "e" in common.
[[nodiscard]] constexpr std::size_t common_prefix(std::string_view a, std::string_view b) noexcept {
  auto const continues = [](std::string_view text, std::size_t at) {
    return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0u) == 0x80u;
  };
  std::size_t const shorter = std::min(a.size(), b.size());
  std::size_t length = 0;
  while (length < shorter && a[length] == b[length]) ++length;
  while (length > 0 && (continues(a, length) || continues(b, length))) --length;
  return length;
}

}  // namespace prefer::data
