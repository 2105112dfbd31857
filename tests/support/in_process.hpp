// SPDX-License-Identifier: MIT
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <string>

#include <catch2/catch.hpp>

namespace prefer::test {

/// What became of a process.
struct ended {
  int code = -1;  // -1: it was killed
  std::string err;
};

/// Runs `body` in a process of its own, a copy of this one, which has no other threads.
inline ended in_process(auto const& body) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  auto const child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::close(ends[0]);
    ::dup2(ends[1], 2);
    body();
    std::_Exit(0);
  }
  ::close(ends[1]);
  ended out;
  char buffer[4096];
  for (auto n = ::read(ends[0], buffer, sizeof buffer); n > 0;
       n = ::read(ends[0], buffer, sizeof buffer)) {
    out.err.append(buffer, static_cast<std::size_t>(n));
  }
  ::close(ends[0]);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  if (WIFEXITED(status)) out.code = WEXITSTATUS(status);
  return out;
}

}  // namespace prefer::test
