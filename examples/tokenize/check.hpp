// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <prefer/lm/text/tokenizer.hpp>

namespace tokenize {

/// A text of a golden file for which this library has other tokens, or which they do not give back.
struct mismatch {
  std::string text;
  std::string expected;  // tokens, or the text that they decode to
  std::string found;
};

struct check_result {
  std::string path;
  std::size_t texts = 0;
  std::vector<mismatch> mismatches;
};

/// Compares a golden file with what this library makes of its texts. Files are of three forms: "cases" or "tokenizer", lists
/// of {"text", "ids", "decoded"}, and "rows" of {"prompt", "prompt_ids", "chosen": {"text", "ids"}, ...}, which are chats.
///
/// `model` is the path of the model, or empty: then the folder in which the file lies has it.
///
/// Errors  backend_error: a file that cannot be read, is no JSON or of no such form; no model
[[nodiscard]] check_result check(std::string const& path, std::string const& model,
                                 prefer::lm::tokenizer_options const& options);

}  // namespace tokenize
