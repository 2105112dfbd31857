// SPDX-License-Identifier: MIT
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>

#include <prefer/expects.hpp>
#include <prefer/on_demand.hpp>

namespace prefer::inline v0_1::detail {

template <class = on_demand>
[[noreturn]] void fail_at(std::string const& path, std::string const& what, int reason) {
  fail(backend_error("atomic_file", path, what + ": " + std::strerror(reason)));
}

/// The folder in which `path` lies, with its slash; empty: the folder in which the program runs.
template <class = on_demand>
[[nodiscard]] std::string folder_of(std::string const& path) {
  return path.substr(0, path.rfind('/') + 1);  // npos + 1 is 0
}

/// What a link says; empty if it cannot be read.
template <class = on_demand>
[[nodiscard]] std::string link_text(std::string const& path) {
  std::string text(256, '\0');
  for (;;) {
    auto const length = ::readlink(path.c_str(), text.data(), text.size());
    if (length < 0) return "";
    if (static_cast<std::size_t>(length) < text.size()) {
      text.resize(static_cast<std::size_t>(length));
      return text;
    }
    text.resize(2 * text.size());
  }
}

/// Where the bytes go that somebody wants to write to a path.
struct destination {
  enum class kind {
    new_file,  // nothing is there yet
    file,      // a regular file, which can be replaced by another of its owner and mode
    stream     // a device, a pipe, an open file of a process: bytes can only be passed to it
  };

  std::string path;  // after all links
  kind what = kind::new_file;
  struct stat found = {};  // of what is there
};

/// Follows links from `path` to the end of their chain, which need not exist.
///
/// Errors  backend_error for a circle of links, a folder, a disk, a socket, and a file or device that may not be
///         written to
template <class = on_demand>
[[nodiscard]] destination destination_of(std::string const& path) {
  destination to{.path = path};
  struct stat here = {};
  for (int followed = 0; ::lstat(to.path.c_str(), &here) == 0 && S_ISLNK(here.st_mode);) {
    // A link of a process to what it has open, as behind /dev/stdout, names no place where a file could be put.
    if (to.path.rfind("/proc/", 0) == 0 || to.path.rfind("/dev/fd/", 0) == 0) {
      to.what = destination::kind::stream;
      break;
    }
    if (++followed > 40) fail_at(path, "cannot create file", ELOOP);
    std::string const text = link_text(to.path);
    if (text.empty()) fail_at(path, "cannot read link", errno);
    to.path = text.front() == '/' ? text : folder_of(to.path) + text;
  }
  if (::stat(to.path.c_str(), &to.found) != 0) {
    if (errno != ENOENT) fail_at(path, "cannot create file", errno);
    return to;
  }
  auto const mode = to.found.st_mode;
  if (S_ISDIR(mode)) fail_at(path, "cannot create file", EISDIR);
  if (S_ISBLK(mode) || S_ISSOCK(mode)) {
    fail(backend_error("atomic_file", path,
                       std::string("cannot create file: here is a ") +
                           (S_ISBLK(mode) ? "disk" : "socket") + ", which is not written to"));
  }
  if (::faccessat(AT_FDCWD, to.path.c_str(), W_OK, AT_EACCESS) != 0) {
    fail_at(path, "cannot write to this file", errno);
  }
  if (!S_ISREG(mode)) {
    to.what = destination::kind::stream;
  } else if (to.what == destination::kind::new_file) {
    to.what = destination::kind::file;
  }
  return to;
}

/// Waits until the content of an open file, or the names in an open folder, are on the disk. What cannot be flushed
/// (some network and virtual file systems say so) needs no flush.
[[nodiscard]] inline bool flush_to_disk(int descriptor) {
  while (::fsync(descriptor) != 0) {
    if (errno == EINTR) continue;
    return errno == EINVAL || errno == ENOSYS || errno == ENOTSUP;
  }
  return true;
}

[[nodiscard]] inline bool flush_folder(std::string const& folder) {
  int const opened = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_CLOEXEC);
  if (opened < 0) return true;  // one may write into a folder without the right to read it
  bool const flushed = flush_to_disk(opened);
  int const reason = errno;
  ::close(opened);
  errno = reason;
  return flushed;
}

}  // namespace prefer::inline v0_1::detail
