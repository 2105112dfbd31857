// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "options.hpp"
#include "session.hpp"

namespace tune {

/// Where the tuned weights go: the adapter's folder, or with --full the model's file or folder.
[[nodiscard]] std::string model_path(session& of, options const& given);

/// Errors  backend_error where a merged model cannot be written there
void expect_merge(std::string const& path);

/// Writes what was made and prints it, unless somebody else does. The exit code.
[[nodiscard]] int deliver(session& of, options const& given, final_report const& report,
                          std::string const& weights, bool printed);

}  // namespace tune
