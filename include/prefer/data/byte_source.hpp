// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <istream>
#include <string>
#include <string_view>
#include <utility>

#include <prefer/data/place.hpp>

namespace prefer::inline v0_1::data {

/// Where bytes come from: a file, a text, a stream, or another source that is decoded.
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

}  // namespace prefer::inline v0_1::data
