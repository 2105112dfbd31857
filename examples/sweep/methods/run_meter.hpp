// SPDX-License-Identifier: MIT
#pragma once

#include <time.h>

#include <cstdint>

#include "../heap.hpp"

namespace sweep {

/// What this thread has computed, and the most memory that it held beyond what stood before, since the meter was made and while
/// it was not held: what others do in between does not count, nor does what is judged. One meter is at work at a time.
class run_meter {
 public:
  run_meter() { heap_of_this_thread().most = before_; }

  void hold() {
    auto const& heap = heap_of_this_thread();
    seconds_ += now() - since_;
    most_ = heap.most;
    held_ = heap.held;
  }
  /// Goes on; what was allocated meanwhile and is still there counts as if it had stood before.
  void go() {
    auto& heap = heap_of_this_thread();
    std::int64_t const left = heap.held - held_;
    before_ += left;
    heap.most = most_ + left;
    since_ = now();
  }

  // Of a meter that is held:

  [[nodiscard]] double seconds() const { return seconds_; }
  [[nodiscard]] std::uint64_t peak_bytes() const {
    return static_cast<std::uint64_t>(most_ - before_);
  }

 private:
  [[nodiscard]] static double now() {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  }

  std::int64_t before_ = heap_of_this_thread().held;
  std::int64_t most_ = 0;
  std::int64_t held_ = 0;
  double seconds_ = 0.0;
  double since_ = now();
};

}  // namespace sweep
