// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <prefer/expects.hpp>

namespace prefer::inline v0_1::lm {

/// A run of tokens in consecutive rows of a batch: a prompt, what several completions of it begin with alike, or the rest
/// of one.
///
/// A row sees the rows of its segment up to its own, and all rows of the segments above: parent, parent's parent, and so
/// on. What several sequences begin with is thus computed once, and each of them is as if it stood alone.
struct token_segment {
  static constexpr std::uint32_t no_parent = 0xffffffff;

  std::size_t first_row = 0;
  std::size_t rows = 0;
  std::size_t first_position = 0;  ///< in the sequence, of the first row
  std::uint32_t parent = no_parent;
};

/// Errors  precondition_error unless segments lie end to end over all `rows`, parents before children, and each begins at
///         the position where its parent ends
inline void expects_segments(std::span<token_segment const> segments, std::size_t rows,
                             char const* where) {
  std::size_t next = 0;
  for (std::size_t s = 0; s != segments.size(); ++s) {
    auto const& each = segments[s];
    auto const broken = [&](std::string const& what) {
      refuse(std::string(where) + ": segment " + std::to_string(s) + what);
    };
    if (each.first_row != next) {
      broken(" begins at row " + std::to_string(each.first_row) + ", expected " +
             std::to_string(next) + ", where the one before ends");
    }
    next += each.rows;
    if (each.parent == token_segment::no_parent) continue;
    if (each.parent >= s) {
      broken(" has the parent " + std::to_string(each.parent) + ", expected one before it");
    }
    auto const& parent = segments[each.parent];
    if (each.first_position != parent.first_position + parent.rows) {
      broken(" begins at position " + std::to_string(each.first_position) + ", expected " +
             std::to_string(parent.first_position + parent.rows) + ", where its parent ends");
    }
  }
  expects_size(next, rows, where, "all segments together");
}

/// The positions of all rows, for what rotates them.
inline void positions_of(std::span<token_segment const> segments,
                         std::vector<std::uint32_t>& position) {
  position.clear();
  for (auto const& each : segments) {
    for (std::size_t r = 0; r != each.rows; ++r) {
      position.push_back(static_cast<std::uint32_t>(each.first_position + r));
    }
  }
}

}  // namespace prefer::inline v0_1::lm
