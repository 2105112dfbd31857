// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

// Judges of completions: built in by name, a file of numbers, or any command.

namespace scoring {

/// What a completion is worth, by its text alone; more is better.
using scorer = double (*)(std::string_view completion);

/// The names of the scorers that are built in: "sentiment", see sentiment.hpp, and "lengths", the number of words, which
/// shows what a judge does that asks for one thing only.
[[nodiscard]] std::vector<std::string> const& scorer_names();
/// Errors  precondition_error for a name that is not among them
[[nodiscard]] scorer scorer_named(std::string_view name);

/// One number a line, or one object with the number "score" a line.
///
/// Errors  backend_error: a line that is neither, a number that is not finite, fewer or more lines than `expected`
[[nodiscard]] std::vector<double> scores_in_file(std::string const& path, std::size_t expected);

/// The same of what a shell command writes, which finds `rows` on its standard input, one a line.
///
/// Errors  also backend_error where it cannot be run or ends with another code than 0. Where somebody asked for the end,
///         the command gets the signal too and its answer is not looked at: the scores are empty
[[nodiscard]] std::vector<double> scores_by_command(std::string const& command,
                                                    std::vector<std::string> const& rows);

}  // namespace scoring
