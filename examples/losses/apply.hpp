// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include <prefer/data/reading.hpp>

#include "named_loss.hpp"

struct apply_options {
  std::string input = "-";  // a path; "-" is standard input
  std::string output;       // a path; empty is standard output
  prefer::reduction reduce = prefer::reduction::none;
  prefer::data::reading how;  // names of columns, and what becomes of bad rows
};

/// Reads rows, writes one JSON object per row, and a summary to standard error.
///
/// Errors  backend_error naming file, line and field. A file named by `output` appears only if all went
///         well; on standard output the lines before the bad row are there, whole.
void apply(named_loss const& loss, apply_options const& options);
