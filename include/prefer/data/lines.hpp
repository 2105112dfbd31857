// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <istream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <prefer/data/place.hpp>
#include <prefer/text/utf8.hpp>

namespace prefer::inline v0_1::data {

/// Where lines come from: a file, a text, a stream.
class byte_source {
 public:
  virtual ~byte_source() = default;
  /// Fills at most `count` bytes and returns how many; 0 is the end.
  virtual std::size_t read(char* to, std::size_t count) = 0;

 protected:
  byte_source() = default;
  byte_source(byte_source const&) = default;
  byte_source& operator=(byte_source const&) = default;
};

/// An open file; `at` names it in errors.
class file_bytes final : public byte_source {
 public:
  explicit file_bytes(place at)
      : at_(std::move(at)), stream_(std::fopen(at_.source.c_str(), "rb")) {
    if (stream_ == nullptr) at_.refuse(std::string("cannot open file: ") + std::strerror(errno));
  }
  file_bytes(file_bytes const&) = delete;
  file_bytes& operator=(file_bytes const&) = delete;
  ~file_bytes() override { std::fclose(stream_); }

  std::size_t read(char* to, std::size_t count) override {
    errno = 0;
    std::size_t const got = std::fread(to, 1, count, stream_);
    if (std::ferror(stream_) != 0) {
      // A directory opens like a file and fails here.
      at_.refuse(std::string("cannot read file: ") + std::strerror(errno));
    }
    return got;
  }

 private:
  place at_;
  std::FILE* stream_;
};

/// A text in memory, of which a copy is kept.
class text_bytes final : public byte_source {
 public:
  explicit text_bytes(std::string_view text) : text_(text) {}

  std::size_t read(char* to, std::size_t count) override {
    count = std::min(count, text_.size() - at_);
    if (count != 0) std::memcpy(to, text_.data() + at_, count);
    at_ += count;
    return count;
  }

 private:
  std::string text_;
  std::size_t at_ = 0;
};

/// A stream, which must outlive this object.
class stream_bytes final : public byte_source {
 public:
  stream_bytes(std::istream& stream, place at) : stream_(&stream), at_(std::move(at)) {}

  std::size_t read(char* to, std::size_t count) override {
    stream_->read(to, static_cast<std::streamsize>(count));
    if (stream_->bad()) at_.refuse("cannot read stream");
    return static_cast<std::size_t>(stream_->gcount());
  }

 private:
  std::istream* stream_;
  place at_;
};

/// Reads a text line by line, with one line in memory at a time.
///
/// A byte order mark before the first line is skipped, a line may end in LF or CR LF, blank lines are passed over but
/// counted, and the last line needs no end.
///
/// Errors  backend_error with source and line: no line that is not blank, a line longer than `most_bytes`, a byte that
///         is not UTF-8 (or is NUL), a file that cannot be read
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
      check_bytes();
      found_ = true;
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
    if (end == nullptr && at_end_ && length == 0) return false;

    ++at_.line;
    if (length > most_bytes_) {
      at_.refuse("the line is longer than the limit of " + std::to_string(most_bytes_) + " bytes");
    }
    line_ = std::string_view(start, length);
    has_line_end_ = end != nullptr;
    begin_ += length + (has_line_end_ ? 1 : 0);
    if (!line_.empty() && line_.back() == '\r') line_.remove_suffix(1);
    if (at_.line == 1 && line_.starts_with("\xEF\xBB\xBF")) line_.remove_prefix(3);
    return true;
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
    if (at_.line == 1) {
      if (line_.starts_with("\x1F\x8B"))
        at_.refuse("the file is compressed (gzip); expected plain text");
      if (line_.starts_with("\xFF\xFE") || line_.starts_with("\xFE\xFF")) {
        at_.refuse("the file is UTF-16; expected UTF-8");
      }
    }
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
  bool any_encoding_ = false;
};

}  // namespace prefer::inline v0_1::data
