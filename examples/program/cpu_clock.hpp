// SPDX-License-Identifier: MIT
#pragma once

#include <time.h>

namespace program {

/// Seconds of a processor that were used while the clock ran: by this process, all of its threads, or by the calling thread.
class cpu_clock {
 public:
  explicit cpu_clock(clockid_t of = CLOCK_PROCESS_CPUTIME_ID) : of_(of) {}

  void go() { since_ = now(); }
  void hold() { used_ += now() - since_; }
  [[nodiscard]] double seconds() const { return used_; }

 private:
  [[nodiscard]] double now() const {
    timespec t{};
    ::clock_gettime(of_, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
  }

  clockid_t of_;
  double used_ = 0.0;
  double since_ = 0.0;
};

}  // namespace program
