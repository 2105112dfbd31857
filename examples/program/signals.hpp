// SPDX-License-Identifier: MIT
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <ios>
#include <streambuf>

// How a program is stopped: Ctrl-C (SIGINT), a polite kill (SIGTERM) and a terminal that goes away (SIGHUP).

namespace program {

/// Whether somebody asked for the end, since `stop_when_asked` was called.
inline std::atomic<bool> interrupted = false;

namespace inside {

inline std::atomic<int> signal_seen = 0;
inline std::array<int, 2> wake = {
    -1, -1};  // a pipe: written to by the signal, waited for by whoever reads

extern "C" inline void prefer_program_asked_to_stop(int number) {
  int const reason = errno;
  // The second time there is no more patience; what was written whole stays whole.
  if (interrupted.exchange(true)) ::_exit(128 + number);
  signal_seen = number;
  if (wake[1] >= 0) {
    char const byte = 0;
    [[maybe_unused]] auto const written = ::write(wake[1], &byte, 1);
  }
  errno = reason;
}

}  // namespace inside

/// The exit code of a program that was asked to stop: 130 after Ctrl-C, 143 after a polite kill.
[[nodiscard]] inline int exit_interrupted() { return 128 + inside::signal_seen; }

/// From here on a first signal sets `interrupted`, so that what is at work can be kept; a second one ends the program at
/// once. Who was told to outlive the terminal (nohup) does. To be called by the thread that main runs on.
inline void stop_when_asked() {
  if (inside::wake[0] < 0 && ::pipe2(inside::wake.data(), O_CLOEXEC | O_NONBLOCK) != 0) {
    inside::wake = {-1, -1};
  }
  // A library for matrix products may have put the stack pointer into a small buffer of its own while a signal comes (oneDNN
  // 2.6 does): what the system saves there, some thousand bytes, would be written over its neighbours in the heap. A process's
  // signal goes to this thread, which has a stack for it alone.
  alignas(64) static std::array<char, 1 << 16> signal_stack;
  stack_t own = {};
  own.ss_sp = signal_stack.data();
  own.ss_size = signal_stack.size();
  bool const has_own = ::sigaltstack(&own, nullptr) == 0;
  struct sigaction action = {};
  action.sa_handler = &inside::prefer_program_asked_to_stop;
  action.sa_flags = has_own ? SA_ONSTACK : 0;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  struct sigaction hangup = {};
  if (::sigaction(SIGHUP, nullptr, &hangup) == 0 && hangup.sa_handler != SIG_IGN) {
    ::sigaction(SIGHUP, &action, nullptr);
  }
}

/// An input that a signal ends: standard input may wait for ever, and a library's stream goes on waiting after a signal.
class interruptible_input : public std::streambuf {
 public:
  explicit interruptible_input(int descriptor) : descriptor_(descriptor) {}

 private:
  int_type underflow() override {
    while (!interrupted) {
      std::array<pollfd, 2> waiting = {pollfd{descriptor_, POLLIN, 0},
                                       pollfd{inside::wake[0], POLLIN, 0}};
      if (::poll(waiting.data(), waiting.size(), -1) < 0 && errno != EINTR) fail();
      if (interrupted || waiting[0].revents == 0) continue;
      auto const count = ::read(descriptor_, buffer_.data(), buffer_.size());
      if (count > 0) {
        setg(buffer_.data(), buffer_.data(), buffer_.data() + count);
        return traits_type::to_int_type(*gptr());
      }
      if (count == 0) break;
      if (errno != EINTR && errno != EAGAIN) fail();
    }
    return traits_type::eof();
  }
  // The stream around this buffer catches it and is bad from then on.
  [[noreturn]] static void fail() { throw std::ios_base::failure("cannot read"); }

  int descriptor_;
  std::array<char, 1 << 16> buffer_{};
};

}  // namespace program
