// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <prefer/target.hpp>

namespace prefer::inline v0_1::data {

/// How large one row may be before reading it is refused.
struct line_limits {
  std::size_t bytes = std::size_t{64} << 20;
  std::size_t depth = 64;  // lists and objects inside each other; the row itself is 1
};

}  // namespace prefer::inline v0_1::data
