// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include <prefer/dialect.hpp>

namespace prefer::inline v0_1 {

/// A thread that ends the program where a call does not come back: with a sentence on standard error and the exit status
/// EXIT_FAILURE, at once, without destructors, which would wait for the same call.
///
///   watchdog dog("process 1 of 4");
///   {
///     auto const watch = dog.over("ncclCommAbort", std::chrono::seconds(30));
///     ncclCommAbort(comm);  // has 30 seconds
///   }
///
/// One call is watched at a time, by the thread that makes it.
class watchdog {
  using clock = std::chrono::steady_clock;

 public:
  explicit watchdog(std::string whose) : whose_(std::move(whose)), thread_([this] { watch(); }) {}
  watchdog(watchdog const&) = delete;
  watchdog& operator=(watchdog const&) = delete;
  ~watchdog() {
    {
      std::lock_guard const lock(mutex_);
      ends_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  /// As long as it lives, a call is watched.
  class [[nodiscard]] watched_call {
   public:
    watched_call(watched_call const&) = delete;
    watched_call& operator=(watched_call const&) = delete;
    ~watched_call() { of_->leave(); }

   private:
    friend watchdog;
    explicit watched_call(watchdog& of) : of_(&of) {}
    watchdog* of_;
  };

  /// Watches a call from here on, for as long as what it gives lives. `call` outlives it.
  watched_call over(char const* call, std::chrono::milliseconds limit) {
    std::lock_guard const lock(mutex_);
    call_ = call;
    limit_ = limit;
    end_ = clock::now() + limit;
    // Who sleeps until a later call's end would have to be told; who sleeps until an earlier one's looks again by itself.
    if (end_ < looks_at_) changed_.notify_all();
    return watched_call(*this);
  }

 private:
  void leave() {
    std::lock_guard const lock(mutex_);
    call_ = nullptr;
  }

  void watch() {
    std::unique_lock lock(mutex_);
    while (!ends_) {
      if (call_ != nullptr && clock::now() >= end_) end_program();
      // Nothing to watch is looked at again too: not to be told of each call makes calls cheap.
      looks_at_ = call_ != nullptr ? end_ : clock::now() + std::chrono::hours(1);
      changed_.wait_until(lock, looks_at_);
    }
  }

  [[noreturn]] void end_program() const {
    std::fprintf(stderr,
                 "prefer: %s: %s did not come back within %.3g s. This process ends now; the last "
                 "checkpoint is whole.\n",
                 whose_.c_str(), call_, std::chrono::duration<double>(limit_).count());
    std::fflush(stderr);
    std::_Exit(EXIT_FAILURE);
  }

  std::string whose_;
  std::mutex mutex_;
  std::condition_variable changed_;
  char const* call_ = nullptr;
  std::chrono::milliseconds limit_{};
  clock::time_point end_{};
  clock::time_point looks_at_ = clock::time_point::max();
  bool ends_ = false;
  std::thread thread_;  // last: it uses all others
};

}  // namespace prefer::inline v0_1
