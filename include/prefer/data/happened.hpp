// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>

#include <prefer/target.hpp>

namespace prefer::inline v0_1::data {

/// Something that happened to rows: how often, and where first.
struct happened {
  std::size_t count = 0;
  std::size_t first_line = 0;

  void add(std::size_t line) {
    if (count++ == 0) first_line = line;
  }
  void add(happened const& later) {
    if (count == 0) first_line = later.first_line;
    count += later.count;
  }
};

/// "1 row (line 7)", "3 rows (first in line 7)".
[[nodiscard]] inline std::string to_words(happened const& seen) {
  return std::to_string(seen.count) + (seen.count == 1 ? " row (line " : " rows (first in line ") +
         std::to_string(seen.first_line) + ")";
}

}  // namespace prefer::inline v0_1::data
