// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include "../program/json.hpp"
#include "study.hpp"

namespace diffusion {

/// The table that the program prints, one line per model.
[[nodiscard]] std::string table_of(std::vector<study_row> const& rows);

/// The same numbers, in full.
[[nodiscard]] program::json json_of(std::vector<study_row> const& rows);

/// The table as a CSV file.
///
/// Errors  prefer::backend_error; a file that was there before keeps its content then
void write_csv(std::string const& path, std::vector<study_row> const& rows);

/// The samples of all models side by side. Errors as those of write_csv.
void write_picture(std::string const& path, ring const& modes, std::vector<study_row> const& rows);

}  // namespace diffusion
