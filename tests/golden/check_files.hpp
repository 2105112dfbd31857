// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

namespace golden {

/// Runs every case of the golden files, prints a table, and every failed number to standard error.
///
/// True if nothing failed and, unless `allow_uncovered`, nothing was left uncovered.
/// Errors  backend_error for a file that cannot be read or is not of the schema
bool check_files(std::vector<std::string> const& paths, bool allow_uncovered);

}  // namespace golden
