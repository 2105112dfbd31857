// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include <CLI/CLI.hpp>

#include "../program/json.hpp"
#include "interactions.hpp"
#include "methods.hpp"

namespace recommend {

/// --method and what goes with it.
void declare_methods(CLI::App& app, method_options& how);

/// Refuses in a sentence what has no meaning with these data and options.
///
/// Errors  precondition_error
void expect_sense(method_options const& how, study_options const& options,
                  interactions const& data);

/// Trains, judges, writes and prints; the exit code. `settings` identifies unfinished work, `about_data` goes into the JSON.
int run_methods(interactions const& data, study_options const& options, method_options const& how,
                unsigned threads, std::string const& stem, program::json const& settings,
                program::json const& about_data);

}  // namespace recommend
