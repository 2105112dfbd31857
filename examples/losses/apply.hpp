// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include <prefer/data/reading.hpp>

#include "named_loss.hpp"

struct apply_options {
  std::string input = "-";  // a path; "-" is standard input
  std::string output;       // a path; empty is standard output
  prefer::reduction reduce = prefer::reduction::none;
  prefer::data::reading how;              // names of columns, and what becomes of bad rows
  std::vector<std::string> columns = {};  // those names as they were given
};

/// Reads rows, writes one JSON object per row, and a summary. The exit code: 0, or that of a program that was stopped.
///
/// Errors  backend_error naming file, line and field. A file named by `output` appears only if all went
///         well; on standard output the lines before the bad row are there, whole.
int apply(named_loss const& loss, apply_options const& options);
