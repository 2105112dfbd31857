// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace golden {

/// How many cases of one loss of one file ended in which way.
struct case_counts {
  std::string file;
  std::string loss;
  std::string here;  // our name for it, or why there is none
  bool covered = false;
  std::size_t passed = 0;
  std::size_t failed = 0;
  std::size_t not_covered = 0;
  std::size_t not_finite = 0;
  std::size_t cut_off = 0;
  std::size_t numbers = 0;
};

/// What a check found.
struct check_report {
  std::vector<case_counts> rows;  // the last is the sum
  bool good = false;  // nothing failed and, unless that was allowed, nothing was left uncovered

  /// As a table for a terminal.
  [[nodiscard]] std::string text() const;
};

/// Runs every case of the golden files; every failed number goes to standard error.
///
/// Errors  backend_error for a file that cannot be read or is not of the schema
[[nodiscard]] check_report check_files(std::vector<std::string> const& paths, bool allow_uncovered);

}  // namespace golden
