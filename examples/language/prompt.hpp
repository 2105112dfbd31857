// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <prefer/data/example.hpp>
#include <prefer/lm/text/tokenizer.hpp>

namespace language {

/// The tokens of a prompt to be answered: messages by the model's template, up to where the answer begins, or a text as it is.
[[nodiscard]] std::vector<std::uint32_t> prompt_tokens(prefer::data::turns const& prompt,
                                                       prefer::lm::tokenizer const& words);

/// The tokens of an answer to a prompt of the same form, with the end of its turn, as training reads it.
[[nodiscard]] std::vector<std::uint32_t> completion_tokens(prefer::data::turns const& completion,
                                                           prefer::lm::tokenizer const& words);

/// The token that ends an answer to such a prompt.
[[nodiscard]] std::optional<std::uint32_t> end_of_answer(prefer::data::turns const& prompt,
                                                         prefer::lm::tokenizer const& words);

/// The beginning of a prompt's text, in quotes, for messages about it.
[[nodiscard]] std::string in_short(prefer::data::turns const& prompt);

/// Errors  precondition_error for a prompt without tokens, and where the context has no room for it and `most` tokens more
void expect_room(prefer::data::turns const& prompt, std::size_t tokens, std::size_t most,
                 std::size_t context);

}  // namespace language
