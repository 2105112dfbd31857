// SPDX-License-Identifier: MIT
#pragma once

#include "grid.hpp"
#include "report.hpp"
#include "results.hpp"

namespace sweep {

/// The grid of the reference study beside what was published of it, with the differences in standard errors.
///
/// Needs dpo with the study's betas and references at 200 and 2000 steps.
[[nodiscard]] section compare_with_published(grid const& all, results const& rows);

}  // namespace sweep
