// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include "../program/json.hpp"
#include "comparison.hpp"
#include "method_findings.hpp"
#include "page.hpp"

namespace sweep {

/// The page of a comparison: for each task and budget what was found, in sentences, tables and pictures.
[[nodiscard]] page method_page(comparison const& all, std::vector<ground_findings> const& found);

/// The numbers of the page in full.
[[nodiscard]] program::json json_of(comparison const& all,
                                    std::vector<ground_findings> const& found);

}  // namespace sweep
