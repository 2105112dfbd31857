// SPDX-License-Identifier: MIT
//
// A signal may come while a library has put the stack pointer into a small buffer of its own.

#include <signal.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstddef>
#include <program/signals.hpp>
#include <vector>

namespace {

ucontext_t way_back;
ucontext_t on_small_stack;

void ask_to_stop() { ::kill(::getpid(), SIGTERM); }

/// Asks this process to stop while it stands on a stack of 512 bytes. Whether it heard of that, and what lies below is intact.
bool heard_and_intact() {
  program::stop_when_asked();
  ::kill(::getpid(), 0);  // its address is found now: the loader needs more stack than that
  constexpr std::size_t room = 512;
  std::vector<char> memory(1 << 16, 'x');
  auto const small = memory.begin() + (1 << 15);
  ::getcontext(&on_small_stack);
  on_small_stack.uc_stack.ss_sp = &*small;
  on_small_stack.uc_stack.ss_size = room;
  on_small_stack.uc_link = &way_back;
  ::makecontext(&on_small_stack, &ask_to_stop, 0);
  ::swapcontext(&way_back, &on_small_stack);
  return program::interrupted &&
         std::all_of(memory.begin(), small, [](char c) { return c == 'x'; });
}

}  // namespace

TEST_CASE("a signal writes nothing where the stack pointer happens to be", "[examples]") {
  pid_t const child = ::fork();  // signals and their handlers are a process's
  REQUIRE(child >= 0);
  if (child == 0) ::_exit(heard_and_intact() ? 0 : 1);
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}
