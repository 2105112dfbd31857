// SPDX-License-Identifier: MIT
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <optional>
#include <string>

#include <prefer/file/atomic_file.hpp>
#include <prefer/file/destination.hpp>
#include <prefer/on_demand.hpp>

namespace prefer::inline v0_1 {

/// The regular file that an atomic_file of this path would replace or make, after all links; nothing where bytes go to a
/// device, a pipe or an open file of a process.
///
/// Errors  as those of an atomic_file's constructor for what is at the path
template <class = on_demand>
[[nodiscard]] std::optional<std::string> writable_target(std::string const& path) {
  auto to = detail::destination_of(path);
  if (to.what == detail::destination::kind::stream) return std::nullopt;
  return std::move(to.path);
}

/// Finds out whether an atomic_file could write this many bytes to `path` now, before the hours of work that make them.
/// Leaves no trace. A pipe is not asked, since its reader would see it open and close.
///
/// Errors  backend_error with the path and the system's reason: no such folder, no right, no room on the disk or under
///         the limit of the process, a device that is full. Where the process is killed by SIGXFSZ, the limit is not
///         reported: ignore that signal first
template <class = on_demand>
void expect_writable(std::string const& path, std::size_t bytes) {
  auto const to = detail::destination_of(path);
  if (to.what != detail::destination::kind::stream) {
    basic_atomic_file<> probe(path);
    probe.reserve(bytes);
    return;
  }
  if (!S_ISCHR(to.found.st_mode)) return;
  int const opened = ::open(to.path.c_str(), O_WRONLY | O_APPEND | O_NOCTTY | O_CLOEXEC);
  if (opened < 0) detail::fail_at(path, "cannot open", errno);
  auto const written = ::write(opened, "", 0);  // a full device refuses even nothing
  int const reason = errno;
  ::close(opened);
  if (written < 0) detail::fail_at(path, "cannot write", reason);
}

}  // namespace prefer::inline v0_1
