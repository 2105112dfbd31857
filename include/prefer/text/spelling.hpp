// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <utility>
#include <vector>

#include <prefer/dialect.hpp>

namespace prefer::inline v0_1::text {

/// Fewest insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`, without regard to ASCII
/// case; counting stops at `most`, and whatever is further apart counts `most + 1`.
[[nodiscard]] inline std::size_t edit_distance(std::string_view a, std::string_view b,
                                               std::size_t most) {
  auto const lower = [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  auto const same = [&](std::size_t i, std::size_t j) {
    return lower(a[i - 1]) == lower(b[j - 1]);
  };
  if (std::max(a.size(), b.size()) - std::min(a.size(), b.size()) > most) return most + 1;

  // Row i holds the distance of a's first i letters to every beginning of b; a swap looks two rows back.
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::swap(before, last);
    std::swap(last, row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (same(i, j) ? 0u : 1u)});
      if (i > 1 && j > 1 && same(i, j - 1) && same(i - 1, j)) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
  }
  return std::min(row[b.size()], most + 1);
}

/// How many edits away a slip of the pen for `known` may be: a short name has too many neighbours.
[[nodiscard]] constexpr std::size_t slips(std::string_view known) noexcept {
  return known.size() < 3 ? 0 : known.size() < 6 ? 1 : 2;
}

/// True if `written` looks like a slip of the pen for `known`.
///
/// At most `slips` edits, and the same first letter: "wieght" and "Weight" are slips for "weight", "height" is a word
/// of its own, and so are "meta" and "data" next to "beta".
[[nodiscard]] inline bool misspells(std::string_view written, std::string_view known) {
  if (written.empty() || known.empty() || written == known) return false;
  if (edit_distance(written.substr(0, 1), known.substr(0, 1), 1) != 0) return false;
  return edit_distance(written, known, slips(known)) <= slips(known);
}

}  // namespace prefer::inline v0_1::text
