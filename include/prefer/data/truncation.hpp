// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <limits>
#include <string>
#include <vector>

#include <prefer/dialect.hpp>
#include <prefer/text/counted.hpp>

namespace prefer::inline v0_1::data {

/// What becomes of a row that has no tokens left in one of its parts, or two completions of the same tokens.
enum class unusable_row { refused, dropped };

/// How many tokens of a row stay. Nothing is cut unless it is asked for, and whatever is cut is counted.
///
/// Of a prompt that is too long its end stays, next to the answer, behind the tokenizer's begin_token; of a completion
/// its beginning, without end_token, because it does not end there. The total is kept by cutting completions.
struct truncation {
  static constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();

  std::size_t prompt = unlimited;      // most tokens, begin_token included
  std::size_t completion = unlimited;  // most tokens, end_token included
  std::size_t total = unlimited;       // most tokens of a prompt and one completion together
  unusable_row unusable = unusable_row::refused;
};

/// What `encode` made of its rows.
struct encode_report {
  std::size_t rows = 0;               // that were read
  std::size_t kept = 0;               // that are in the data
  std::size_t prompts_cut = 0;        // one per kept row
  std::size_t completions_cut = 0;    // one per completion of a kept row
  std::size_t prompt_tokens_cut = 0;  // of kept rows
  std::size_t completion_tokens_cut = 0;
  std::size_t first_completions_cut = 0;  // of these the first of each row: chosen, or the best
  std::size_t first_completion_tokens_cut = 0;
  std::size_t dropped_empty = 0;        // rows of which a part had no tokens left
  std::size_t dropped_equal = 0;        // rows whose completions were the same tokens
  std::size_t first_dropped = 0;        // line of the first of these in its file; 0: none
  std::vector<std::size_t> lines = {};  // of the kept rows in their file, in the order of the data

  [[nodiscard]] std::size_t dropped() const { return dropped_empty + dropped_equal; }
  [[nodiscard]] bool operator==(encode_report const&) const = default;
};

/// A report in a sentence: "4 rows: 1 prompt cut by 12 tokens, 3 completions cut by 40 tokens, 1 row dropped (...)".
[[nodiscard]] inline std::string to_sentence(encode_report const& report) {
  auto const cut = [&](std::size_t parts, std::string const& what, std::size_t tokens) {
    return parts == 0
               ? ", no " + what + " cut"
               : ", " + text::counted(parts, what) + " cut by " + text::counted(tokens, "token");
  };
  std::string out = text::counted(report.rows, "row") +
                    cut(report.prompts_cut, "prompt", report.prompt_tokens_cut) +
                    cut(report.completions_cut, "completion", report.completion_tokens_cut) + ", " +
                    (report.dropped() == 0 ? "no row" : text::counted(report.dropped(), "row")) +
                    " dropped";
  if (report.dropped() == 0) return out;
  std::string why;
  if (report.dropped_empty != 0) {
    why += std::to_string(report.dropped_empty) + " without tokens in a part";
  }
  if (report.dropped_equal != 0) {
    why += (why.empty() ? "" : ", ") + std::to_string(report.dropped_equal) +
           " with equal completions";
  }
  return out + " (" + why + "; the first in line " + std::to_string(report.first_dropped) + ")";
}

}  // namespace prefer::inline v0_1::data
