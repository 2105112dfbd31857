// SPDX-License-Identifier: MIT
#pragma once

#include "options.hpp"
#include "training.hpp"

namespace tune {

/// One training, of rows or online, from reading to results in `out`, or from where it was stopped. The exit code.
///
/// `printed`  whether its table, or with --json its document, goes to standard output
///
/// Errors  what is wrong with the input
[[nodiscard]] int tune_once(options const& given, chosen_loss const& loss, bool printed);

/// `rounds` trainings, each of pairs that the model writes as the one before has left it: iterative DPO. Round k lies in
/// `out`/round-k, with what was drawn (completions.jsonl), what was made of it (pairs.jsonl) and the results of its training; it
/// draws and trains with the seed + k - 1, and equals make_pairs and tune of those arguments. The exit code.
///
/// Resume  a round that is there is not done again; what is within one goes on as it does by itself
/// Errors  what is wrong with the input, and a round in which nothing can be preferred to anything
[[nodiscard]] int tune_in_rounds(options const& given, chosen_loss const& loss);

}  // namespace tune
