// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <prefer/data/byte_source.hpp>
#include <prefer/data/first_bytes.hpp>
#include <prefer/data/place.hpp>

namespace prefer::inline v0_1::data {

/// JSON Lines of a text that is either JSON Lines or one JSON array: of an array each element becomes a line, so that
/// a row's line is the number of its element. One block is in memory at a time.
///
/// Errors  backend_error for an array that is cut off, for elements without a comma between them or with one too many,
///         and for what stands behind the array; what an element is, its line shows
class json_array_lines final : public byte_source {
 public:
  json_array_lines(std::unique_ptr<byte_source> source, place at)
      : source_(std::move(source)), at_(std::move(at)) {
    at_.line = 0;
  }

  std::size_t read(char* to, std::size_t count) override {
    if (state_ == state::unknown) begin();
    if (state_ == state::lines) return source_->read(to, count);
    std::size_t given = 0;
    while (given == 0) {
      // Never more bytes come out than go in.
      std::size_t const got = source_->read(to, count);
      if (got == 0) {
        if (state_ != state::behind) at_.refuse("truncated: the file ends inside its JSON array");
        return 0;
      }
      for (std::size_t i = 0; i < got; ++i) {
        if (char const c = step(to[i]); c != '\0') to[given++] = c;
      }
    }
    return given;
  }

 private:
  enum class state : std::uint8_t { unknown, lines, first, element, inside, behind };

  static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

  void begin() {
    auto peeked = std::make_unique<detail::peeked_bytes>(std::move(source_), look_ahead);
    std::string_view beginning = peeked->beginning();
    if (beginning.starts_with("\xEF\xBB\xBF")) beginning.remove_prefix(3);
    auto const first = beginning.find_first_not_of(" \t\r\n");
    state_ =
        first != std::string_view::npos && beginning[first] == '[' ? state::first : state::lines;
    source_ = std::move(peeked);
    if (state_ == state::lines) return;
    // What stands before the bracket, and the bracket.
    std::size_t rest = peeked_before(first);
    for (char skipped = 0; rest > 0; --rest) source_->read(&skipped, 1);
  }
  std::size_t peeked_before(std::size_t first) const {
    auto const& peeked = static_cast<detail::peeked_bytes const&>(*source_);
    return first + 1 + (peeked.beginning().starts_with("\xEF\xBB\xBF") ? 3 : 0);
  }

  /// What becomes of a byte; NUL if nothing does.
  char step(char c) {
    switch (state_) {
      case state::first:
      case state::element:
        if (is_space(c)) return '\0';
        if (c == ']' && state_ == state::first) {
          state_ = state::behind;
          return '\0';
        }
        ++element_;
        if (c == ',' || c == ']') refuse("there is a comma, and no element");
        state_ = state::inside;
        [[fallthrough]];
      case state::inside:
        return inside(c);
      default:
        if (!is_space(c)) at_.refuse("something stands behind the end of the JSON array");
        return '\0';
    }
  }
  char inside(char c) {
    if (in_string_) {
      if (escaped_) {
        escaped_ = false;
      } else if (c == '\\') {
        escaped_ = true;
      } else if (c == '"') {
        in_string_ = false;
      }
      return c == '\0' ? '\x01' : c;  // as little allowed in JSON, and no end of anything
    }
    if (c == '"') in_string_ = true;
    if (c == '{' || c == '[') ++depth_;
    if (depth_ == 0 && (c == ',' || c == ']')) {
      state_ = c == ',' ? state::element : state::behind;
      return '\n';
    }
    if (c == '}' || c == ']') {
      if (depth_ == 0) refuse("a bracket is closed that was not opened");
      --depth_;
    }
    return c == '\n' || c == '\r' ? ' ' : c == '\0' ? '\x01' : c;
  }
  [[noreturn]] void refuse(std::string const& reason) const {
    at_.refuse("element " + std::to_string(element_) + " of the JSON array: " + reason);
  }

  static constexpr std::size_t look_ahead = 512;

  std::unique_ptr<byte_source> source_;
  place at_;
  state state_ = state::unknown;
  std::size_t element_ = 0;
  std::size_t depth_ = 0;
  bool in_string_ = false;
  bool escaped_ = false;
};

}  // namespace prefer::inline v0_1::data
