// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "../program/estimate.hpp"
#include "../program/json.hpp"
#include "grid.hpp"
#include "page.hpp"
#include "problem.hpp"
#include "results.hpp"

namespace sweep {

using program::estimate;
using program::estimate_of;
using program::paired_difference;

/// A loss with a reference at the beta whose mean reward is highest.
struct best_setting {
  setting what;
  std::vector<double> reward;  ///< by seed
  estimate mean;
};
[[nodiscard]] best_setting best_of(grid const& all, results const& rows, std::size_t loss,
                                   std::string const& reference, double flip, std::uint64_t steps);

/// "1.411 ± 0.012"; "1.411" where there is no spread.
[[nodiscard]] std::string with_error(estimate const& value, int precision = 3);

/// "+1.41", "-0.30"
[[nodiscard]] std::string with_sign(double value, int precision);

/// The numbers of the report in full: averages of each setting at each number of steps, and who is best. Needs every run
/// of the grid, as does report_of.
[[nodiscard]] program::json json_of(grid const& all, results const& rows, task const& of);

[[nodiscard]] page report_of(grid const& all, results const& rows, task const& of);

}  // namespace sweep
