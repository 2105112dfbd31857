// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "../../program/cpu_clock.hpp"
#include "../heap.hpp"

namespace sweep {

/// What this thread has computed, and the most memory that it held beyond what stood before, since the meter was made and while
/// it was not held: what others do in between does not count, nor does what is judged. One meter is at work at a time.
class run_meter {
 public:
  run_meter() {
    heap_of_this_thread().most = before_;
    clock_.go();
  }

  void hold() {
    auto const& heap = heap_of_this_thread();
    clock_.hold();
    most_ = heap.most;
    held_ = heap.held;
  }
  /// Goes on; what was allocated meanwhile and is still there counts as if it had stood before.
  void go() {
    auto& heap = heap_of_this_thread();
    std::int64_t const left = heap.held - held_;
    before_ += left;
    heap.most = most_ + left;
    clock_.go();
  }

  // Of a meter that is held:

  [[nodiscard]] double seconds() const { return clock_.seconds(); }
  [[nodiscard]] std::uint64_t peak_bytes() const {
    return static_cast<std::uint64_t>(most_ - before_);
  }

 private:
  std::int64_t before_ = heap_of_this_thread().held;
  std::int64_t most_ = 0;
  std::int64_t held_ = 0;
  program::cpu_clock clock_{CLOCK_THREAD_CPUTIME_ID};
};

}  // namespace sweep
