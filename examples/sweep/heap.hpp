// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace sweep {

/// What a thread has asked the heap for and not given back, in bytes as they were asked for, and the most of it that it held.
///
/// Counted where memory is allocated with `new`, containers among it, and freed; what one thread gives back of another's is
/// below 0 for it, so that only differences on one thread mean something.
struct heap_use {
  std::int64_t held = 0;
  std::int64_t most = 0;  ///< a meter sets it back
};

/// Of the thread that asks.
[[nodiscard]] heap_use& heap_of_this_thread() noexcept;

}  // namespace sweep
