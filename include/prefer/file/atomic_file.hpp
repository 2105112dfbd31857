// SPDX-License-Identifier: MIT
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>

#include <prefer/expects.hpp>
#include <prefer/file/destination.hpp>
#include <prefer/on_demand.hpp>

namespace prefer::inline v0_1 {

/// A file that appears whole or not at all: written beside its target, flushed to the disk, and renamed onto the target
/// by `commit`.
///
/// Until `commit` returns, the target keeps its old content; destroying an uncommitted file removes the temporary, whose
/// name is nobody else's, so that two writers of one path do not meet: the last commit wins. When `commit` has returned,
/// the new content survives a loss of power. A full disk is noticed at the latest in `commit`.
///
/// A link is followed, and stays: the file where it leads is replaced, or made. A file that was there keeps its mode, and
/// its owner where the system lets us. A device or a pipe, and an open file of a process such as /dev/stdout, is never
/// replaced: bytes go to it as they are written, without the promises above.
///
/// Errors  backend_error with the path and the system's reason; for a folder, a disk, a socket, a circle of links, and a
///         file that may not be written to, before anything is written
template <class = on_demand>
class basic_atomic_file {
 public:
  explicit basic_atomic_file(std::string path)
      : path_(std::move(path)), target_(detail::destination_of(path_)) {
    if (target_.what == detail::destination::kind::stream) {
      open_stream();
    } else {
      create_temporary();
    }
  }
  basic_atomic_file(basic_atomic_file const&) = delete;
  basic_atomic_file& operator=(basic_atomic_file const&) = delete;
  ~basic_atomic_file() { abandon(); }

  void write(void const* bytes, std::size_t count) {
    expects(stream_ != nullptr, "atomic_file: written to after it was committed or had failed");
    if (count != 0 && std::fwrite(bytes, 1, count, stream_) != count) fail("cannot write");
  }
  void write(std::string_view text) { write(text.data(), text.size()); }

  /// Makes sure that the disk, and the limit of the process, have room for this many bytes; a device or a pipe has.
  void reserve(std::size_t bytes) {
    expects(stream_ != nullptr, "atomic_file: reserved after it was committed or had failed");
    if (temporary_.empty() || bytes == 0) return;
    errno = ::posix_fallocate(::fileno(stream_), 0, static_cast<::off_t>(bytes));
    if (errno != 0 && errno != EINVAL && errno != EOPNOTSUPP) fail("cannot write");
    if (::ftruncate(::fileno(stream_), 0) != 0) fail("cannot write");
  }

  void commit() {
    expects(stream_ != nullptr, "atomic_file: committed twice, or after it had failed");
    if (std::fflush(stream_) != 0) fail("cannot finish writing");
    bool const replaces = !temporary_.empty();
    if (replaces && !detail::flush_to_disk(::fileno(stream_))) fail("cannot finish writing");
    if (std::fclose(std::exchange(stream_, nullptr)) != 0) fail("cannot finish writing");
    if (!replaces) return;
    if (std::rename(temporary_.c_str(), target_.path.c_str()) != 0) fail("cannot finish writing");
    temporary_.clear();
    if (!detail::flush_folder(detail::folder_of(target_.path))) fail("cannot finish writing");
  }

  [[nodiscard]] std::string const& path() const noexcept { return path_; }

 private:
  void create_temporary() {
    std::string const start =
        detail::folder_of(target_.path) + ".prefer-" + std::to_string(::getpid()) + '-';
    int descriptor = -1;
    // A name is taken by another writer in this process, or was left by a crash of one with our number.
    for (int attempt = 0; descriptor < 0 && attempt < 10000; ++attempt) {
      temporary_ = start + std::to_string(attempt) + ".partial";
      descriptor = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
      if (descriptor < 0 && errno != EEXIST) break;
    }
    if (descriptor < 0) {
      temporary_.clear();  // not ours to remove
      fail("cannot create file");
    }
    if (!take_mode(descriptor)) {
      int const reason = errno;
      ::close(descriptor);
      errno = reason;
      fail("cannot set the mode of the file");
    }
    open(descriptor);
  }

  /// Gives the temporary the owner and the mode of the file that it will replace.
  [[nodiscard]] bool take_mode(int descriptor) const {
    if (target_.what == detail::destination::kind::new_file) return true;
    auto const& old = target_.found;
    struct stat mine = {};
    if (::fstat(descriptor, &mine) != 0) return false;
    ::mode_t mode = old.st_mode & 07777;
    if ((mine.st_uid != old.st_uid || mine.st_gid != old.st_gid) &&
        ::fchown(descriptor, old.st_uid, old.st_gid) != 0) {
      mode &= 0777;  // a program that runs as its owner must not become one that runs as us
    }
    return ::fchmod(descriptor, mode) == 0;
  }

  void open_stream() {
    // Appending, so that what a process has already written to its own standard output stays.
    int const descriptor = ::open(target_.path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
    if (descriptor < 0) fail("cannot open");
    open(descriptor);
  }

  void open(int descriptor) {
    stream_ = ::fdopen(descriptor, "wb");
    if (stream_ != nullptr) return;
    int const reason = errno;
    ::close(descriptor);
    errno = reason;
    fail("cannot create file");
  }

  void abandon() noexcept {
    if (stream_ != nullptr) std::fclose(std::exchange(stream_, nullptr));
    if (!temporary_.empty()) std::remove(temporary_.c_str());
    temporary_.clear();
  }
  [[noreturn]] void fail(char const* what) {
    int const reason = errno;  // before anything else can set it
    abandon();
    detail::fail_at(path_, what, reason);
  }

  std::string path_;
  detail::destination target_;
  std::string temporary_;  // empty: there is none
  std::FILE* stream_ = nullptr;
};
using atomic_file = basic_atomic_file<>;

}  // namespace prefer::inline v0_1
