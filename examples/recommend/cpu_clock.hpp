// SPDX-License-Identifier: MIT
#pragma once

#include <ctime>

namespace recommend {

/// Seconds of a processor that this process has used, of all its threads, while the clock ran.
class cpu_clock {
 public:
  void go() { since_ = now(); }
  void hold() { used_ += now() - since_; }
  [[nodiscard]] double seconds() const { return used_; }

 private:
  static double now() {
    std::timespec t{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
  }

  double used_ = 0.0;
  double since_ = 0.0;
};

}  // namespace recommend
