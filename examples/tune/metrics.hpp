// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <prefer/train/step_report.hpp>

#include "../program/json.hpp"
#include "online.hpp"

namespace tune {

/// What one step did, as files have it.
struct step_row {
  prefer::step_report report;
  double examples = 0.0;  ///< that it learned from
  drawn_numbers drawn = {};
  double seconds = 0.0;
  double tokens_per_second = 0.0;
};

/// One line of JSON; numbers that do not apply are "nan", and those that only some trainings have are left out there.
[[nodiscard]] program::json json_of(step_row const& row);
[[nodiscard]] step_row row_of(program::json const& json);

/// Everything but seconds, which no two runs have in common; without the columns of other trainings.
void write_csv(std::string const& path, std::vector<step_row> const& rows);
void write_jsonl(std::string const& path, std::vector<step_row> const& rows);
/// Loss, margin and accuracy, chosen reward, score against the step; what no step has is left out. False where nothing is left.
bool write_curves(std::string const& path, std::vector<step_row> const& rows);

}  // namespace tune
