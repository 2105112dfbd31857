// SPDX-License-Identifier: MIT
#pragma once

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <string>
#include <utility>

#include <prefer/expects.hpp>
#include <prefer/file/writable.hpp>

namespace program {

/// Keeps other programs from writing the same file while it lives.
///
/// The lock is the system's, on a file .NAME.lock beside it that holds the number of our process: it ends with the
/// process, however that ends, so that the lock file of a program that was killed hinders nobody; the next one takes and
/// removes it. A device or a pipe has any number of writers, and file systems that know no locks go without.
///
/// Errors  backend_error where another process has it
class claim {
 public:
  explicit claim(std::string const& path) {
    auto const target = prefer::writable_target(path);
    if (!target) return;
    std::size_t const name = target->rfind('/') + 1;  // npos + 1 is 0
    lock_ = target->substr(0, name) + '.' + target->substr(name) + ".lock";
    for (;;) {
      int const opened = ::open(lock_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
      if (opened < 0) return;  // the file itself will say why nothing can be written here
      if (::flock(opened, LOCK_EX | LOCK_NB) != 0) {
        bool const taken = errno == EWOULDBLOCK;
        std::string const owner = taken ? owner_of(opened) : "";
        ::close(opened);
        if (!taken) return;
        prefer::refuse(prefer::backend_error("claim", path,
                                             "another program" + owner +
                                                 " is writing this; wait until it ends, or give "
                                                 "another --output"));
      }
      struct stat mine = {};
      if (::fstat(opened, &mine) == 0 && mine.st_nlink == 0) {
        ::close(opened);  // its last owner removed it between our opening and our locking
        continue;
      }
      descriptor_ = opened;
      std::string const number = std::to_string(::getpid()) + "\n";
      if (::ftruncate(opened, 0) == 0) {
        // Only for the sentence above, so a full disk does not matter.
        [[maybe_unused]] auto const written = ::write(opened, number.data(), number.size());
      }
      return;
    }
  }
  claim(claim const&) = delete;
  claim& operator=(claim const&) = delete;
  ~claim() {
    if (descriptor_ < 0) return;
    ::unlink(lock_.c_str());  // before the lock is given up, so that it is ours that goes
    ::close(descriptor_);
  }

 private:
  static std::string owner_of(int opened) {
    std::array<char, 32> text{};
    auto const count = ::pread(opened, text.data(), text.size(), 0);
    long process = 0;
    if (count <= 0 ||
        std::from_chars(text.data(), text.data() + count, process).ec != std::errc()) {
      return "";
    }
    return " (process " + std::to_string(process) + ")";
  }

  std::string lock_;
  int descriptor_ = -1;
};

}  // namespace program
