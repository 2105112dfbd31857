// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <string>
#include <thread>

#include <prefer/text/number.hpp>

// Waiting for other processes, but not for ever.

namespace prefer::inline v0_1::detail {

/// Asks `done()` until it says yes, or until `end`: whether it has.
template <class Done>
[[nodiscard]] bool done_before(std::chrono::steady_clock::time_point end, Done&& done) {
  while (true) {
    // Asking is how engines move messages. Where there are more processes than cores the others need this one.
    for (int asked = 0; asked != 256; ++asked) {
      if (done()) return true;
    }
    std::this_thread::yield();
    if (std::chrono::steady_clock::now() > end) return false;
  }
}

/// What is wrong when it has not.
[[nodiscard]] inline std::string nobody_came(std::chrono::milliseconds patience) {
  return "another process did not come within " +
         text::shortest(std::chrono::duration<double>(patience).count()) +
         " s: it hangs, or works longer than `patience`";
}

}  // namespace prefer::inline v0_1::detail
