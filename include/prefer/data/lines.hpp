// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <prefer/data/byte_source.hpp>
#include <prefer/data/first_bytes.hpp>
#include <prefer/data/place.hpp>
#include <prefer/text/utf8.hpp>

namespace prefer::inline v0_1::data {

/// Reads a text line by line, with one line in memory at a time.
///
/// A byte order mark before the first line is skipped, a line may end in LF or CR LF, blank lines are passed over but
/// counted, and the last line needs no end. After an error about a line, `next` goes on behind it.
///
/// Errors  backend_error with source and line: a line longer than `most_bytes`, a byte that is not UTF-8 (or is NUL).
///         With the source alone: no line that is not blank, a file that cannot be read, or that is no text
class line_reader {
 public:
  /// `expected` ends the sentence "the file is empty; expected ...".
  line_reader(std::unique_ptr<byte_source> source, place at, std::string expected,
              std::size_t most_bytes)
      : source_(std::move(source)),
        at_(std::move(at)),
        expected_(std::move(expected)),
        most_bytes_(most_bytes) {}

  /// From here on a line may hold bytes that are not UTF-8: for who decodes lines by another encoding.
  void take_any_bytes() noexcept { any_encoding_ = true; }

  /// Goes on to the next line that is not blank; false at the end.
  bool next() {
    while (next_raw()) {
      if (line_.find_first_not_of(" \t\r") == std::string_view::npos) continue;
      found_ = true;
      check_bytes();
      return true;
    }
    if (!found_) {
      at_.line = 0;
      at_.refuse((any_bytes_ ? "there are only blank lines; expected "
                             : "there is nothing in it; expected ") +
                 expected_);
    }
    return false;
  }

  /// The line without its end; valid until `next`.
  [[nodiscard]] std::string_view line() const noexcept { return line_; }
  /// False if the text ends right behind this line: it may have been cut off.
  [[nodiscard]] bool has_line_end() const noexcept { return has_line_end_; }
  [[nodiscard]] place const& at() const noexcept { return at_; }

 private:
  bool next_raw() {
    if (too_long_) pass_over_line();
    std::size_t searched = 0;
    char const* end = nullptr;
    while (end == nullptr) {
      char const* const start = buffer_.data() + begin_;
      std::size_t const held = end_ - begin_;
      end = static_cast<char const*>(
          held == searched ? nullptr : std::memchr(start + searched, '\n', held - searched));
      searched = held;
      if (end != nullptr || at_end_ || held > most_bytes_) break;
      fill();
    }
    char const* const start = buffer_.data() + begin_;
    std::size_t const length =
        end == nullptr ? end_ - begin_ : static_cast<std::size_t>(end - start);
    if (at_.line == 0) refuse_binary(std::string_view(start, end_ - begin_), at_);
    if (end == nullptr && at_end_ && length == 0) return false;

    ++at_.line;
    if (length > most_bytes_) {
      found_ = true;
      too_long_ = true;
      at_.refuse("the line is longer than the limit of " + std::to_string(most_bytes_) + " bytes");
    }
    line_ = std::string_view(start, length);
    has_line_end_ = end != nullptr;
    begin_ += length + (has_line_end_ ? 1 : 0);
    if (!line_.empty() && line_.back() == '\r') line_.remove_suffix(1);
    if (at_.line == 1 && line_.starts_with("\xEF\xBB\xBF")) line_.remove_prefix(3);
    return true;
  }

  void pass_over_line() {
    too_long_ = false;
    for (;;) {
      auto const end = std::string_view(buffer_).substr(begin_, end_ - begin_).find('\n');
      if (end != std::string_view::npos) {
        begin_ += end + 1;
        return;
      }
      begin_ = end_;
      if (at_end_) return;
      fill();
    }
  }

  void fill() {
    constexpr std::size_t block = 1u << 16;
    if (begin_ != 0) {
      std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
      end_ -= begin_;
      begin_ = 0;
    }
    if (buffer_.size() - end_ < block) buffer_.resize(std::max(2 * buffer_.size(), 2 * block));
    std::size_t const got = source_->read(buffer_.data() + end_, buffer_.size() - end_);
    end_ += got;
    at_end_ = got == 0;
    any_bytes_ = any_bytes_ || got != 0;
  }

  void check_bytes() const {
    if (auto const bad = any_encoding_ ? std::nullopt : prefer::text::first_invalid_utf8(line_)) {
      at_.refuse("byte " + std::to_string(*bad + 1) + " of the line is not valid UTF-8");
    }
    // A JSON parser may take NUL for the end of its input and never see what follows.
    if (auto const nul = line_.find('\0'); nul != std::string_view::npos) {
      at_.refuse("byte " + std::to_string(nul + 1) + " of the line is NUL; expected text");
    }
  }

  std::unique_ptr<byte_source> source_;
  place at_;
  std::string expected_;
  std::size_t most_bytes_;
  std::string buffer_;  // bytes begin_ to end_ are read and not yet given out
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::string_view line_;
  bool has_line_end_ = true;
  bool at_end_ = false;
  bool any_bytes_ = false;
  bool found_ = false;
  bool too_long_ = false;  // the line at hand: what is left of it is to be passed over
  bool any_encoding_ = false;
};

}  // namespace prefer::inline v0_1::data
