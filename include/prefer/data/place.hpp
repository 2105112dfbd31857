// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <prefer/expects.hpp>
#include <prefer/text/utf8.hpp>

namespace prefer::inline v0_1::data {

/// Where a row came from: the reader that was called, the source (a path, or a name given by the caller) and the line
/// in it, counted from 1; line 0 is the source as a whole.
struct place {
  std::string reader;
  std::string source;
  std::size_t line = 0;

  /// Throws backend_error "reader: source:line: reason".
  [[noreturn]] void refuse(std::string const& reason) const {
    ::prefer::detail::fail(
        backend_error(reader, line == 0 ? source : source + ":" + std::to_string(line), reason));
  }
};

/// A piece of a file as it may stand in a message: in quotes, on one line, at most `most` bytes of it.
[[nodiscard]] inline std::string in_quotes(std::string_view piece, std::size_t most = 40) {
  bool const cut = piece.size() > most;
  if (cut) {
    while (most > 0 && text::continues_code_point(piece[most])) --most;
    piece = piece.substr(0, most);
  }
  std::string result = "\"";
  for (char const c : piece) {
    auto const byte = static_cast<unsigned char>(c);
    if (c == '\t') {
      result += "\\t";
    } else {
      result += byte < 0x20u || byte == 0x7Fu ? '?' : c;
    }
  }
  return result + (cut ? "...\"" : "\"");
}

}  // namespace prefer::inline v0_1::data
