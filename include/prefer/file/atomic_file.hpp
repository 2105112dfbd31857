// SPDX-License-Identifier: MIT
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include <prefer/expects.hpp>

namespace prefer {

/// A file that appears whole or not at all: written beside its target, renamed onto it by `commit`.
///
/// Until `commit` returns, the target keeps its old content; destroying an uncommitted file removes the
/// temporary. A full disk is noticed at the latest in `commit`, which flushes and closes before it renames.
///
/// Errors  backend_error with the path and the system's reason
class atomic_file {
 public:
  explicit atomic_file(std::string path)
      : path_(std::move(path)),
        temporary_(path_ + ".partial"),
        stream_(std::fopen(temporary_.c_str(), "wb")) {
    if (stream_ == nullptr) fail("cannot create file");
    created_ = true;
  }
  atomic_file(atomic_file const&) = delete;
  atomic_file& operator=(atomic_file const&) = delete;
  ~atomic_file() { abandon(); }

  void write(void const* bytes, std::size_t count) {
    expects(stream_ != nullptr, "atomic_file: written to after it was committed or had failed");
    if (count != 0 && std::fwrite(bytes, 1, count, stream_) != count) fail("cannot write");
  }
  void write(std::string_view text) { write(text.data(), text.size()); }

  void commit() {
    expects(stream_ != nullptr, "atomic_file: committed twice, or after it had failed");
    bool const flushed = std::fflush(stream_) == 0;
    int const flush_error = errno;
    bool const closed = std::fclose(std::exchange(stream_, nullptr)) == 0;
    if (!flushed) errno = flush_error;
    if (!flushed || !closed || std::rename(temporary_.c_str(), path_.c_str()) != 0) {
      fail("cannot finish writing");
    }
  }

  [[nodiscard]] std::string const& path() const noexcept { return path_; }

 private:
  void abandon() noexcept {
    if (stream_ == nullptr) return;
    std::fclose(std::exchange(stream_, nullptr));
    std::remove(temporary_.c_str());
  }
  [[noreturn]] void fail(char const* what) {
    int const reason = errno;  // before anything else can set it
    if (stream_ != nullptr) {
      abandon();
    } else if (created_) {
      std::remove(temporary_.c_str());
    }
    detail::fail(
        backend_error("atomic_file", path_, std::string(what) + ": " + std::strerror(reason)));
  }

  std::string path_;
  std::string temporary_;
  std::FILE* stream_;
  bool created_ = false;
};

}  // namespace prefer
