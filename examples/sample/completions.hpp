// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <prefer/data/example.hpp>

namespace sample {

/// What a model wrote for a prompt.
struct completion {
  std::string text;  // UTF-8, with U+FFFD for bytes that are none
  std::size_t tokens = 0;
  bool ended = false;  // by itself; if not, it was cut at the most tokens allowed
  std::optional<double> score = {};
};

/// A prompt and its completions, in the order in which they were drawn.
struct answers {
  prefer::data::turns prompt;
  std::vector<completion> completions;
};

/// The completion in the form of its prompt: a text, or the message of an assistant.
[[nodiscard]] prefer::data::turns turns_of(prefer::data::turns const& prompt,
                                           std::string const& text);

/// Whether a text has the mark of bytes that are no UTF-8.
[[nodiscard]] bool has_replacement(std::string_view text);

/// One line of JSON, without its end: {"prompt", "completion", "tokens", "ended", "score"}.
[[nodiscard]] std::string to_json(prefer::data::turns const& prompt, completion const& one);

/// Reads such lines, whoever wrote them: "tokens" and "ended" may be missing (an ended one of unknown length). Lines of one
/// prompt that stand together are its answers.
///
/// Errors  backend_error with the line
[[nodiscard]] std::vector<answers> read_answers(std::string const& path);

}  // namespace sample
