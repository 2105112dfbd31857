// SPDX-License-Identifier: MIT
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <span>
#include <string>

#include <prefer/expects.hpp>

namespace prefer::inline v0_1::lm {

/// The bytes of a regular file, read by the system where they are touched and shared with whoever else reads the file.
///
/// A writer that replaces files by renaming, as atomic_file does, leaves a map's bytes as they were. A file that somebody
/// shortens in place while it is mapped ends the process at the first byte that is gone (SIGBUS).
///
/// Errors  backend_error with the path and the system's reason; for what is no regular file
class memory_map {
 public:
  explicit memory_map(std::string const& path) {
    int const opened = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (opened < 0) fail(path, "cannot open file", errno);
    struct closer {
      int descriptor;
      ~closer() { ::close(descriptor); }
    } const close_at_end{opened};

    struct stat found = {};
    if (::fstat(opened, &found) != 0) fail(path, "cannot read", errno);
    if (!S_ISREG(found.st_mode)) {
      refuse(backend_error("memory_map", path, "is no regular file, which alone can be mapped"));
    }
    size_ = static_cast<std::size_t>(found.st_size);
    if (size_ == 0) return;
    bytes_ = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, opened, 0);
    if (bytes_ == MAP_FAILED) fail(path, "cannot map file", errno);
  }
  memory_map(memory_map const&) = delete;
  memory_map& operator=(memory_map const&) = delete;
  ~memory_map() {
    if (size_ != 0) ::munmap(bytes_, size_);
  }

  [[nodiscard]] std::span<std::byte const> bytes() const& noexcept {
    return {static_cast<std::byte const*>(bytes_), size_};
  }
  void bytes() const&& = delete;  // of a temporary, which ends with the statement

 private:
  [[noreturn]] static void fail(std::string const& path, std::string const& what, int reason) {
    refuse(backend_error("memory_map", path, what + ": " + std::strerror(reason)));
  }

  void* bytes_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace prefer::inline v0_1::lm
