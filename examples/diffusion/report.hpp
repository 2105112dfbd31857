// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include "study.hpp"

namespace diffusion {

/// The table that the program prints, one line per model.
[[nodiscard]] std::string table_of(std::vector<study_row> const& rows);

/// Writes diffusion.csv, the table, and diffusion.svg, the samples of all models side by side, into a
/// folder; returns their paths.
///
/// Errors  prefer::backend_error; files that were there before keep their content then
std::vector<std::string> write_files(std::string const& folder, ring const& modes,
                                     std::vector<study_row> const& rows);

}  // namespace diffusion
