// SPDX-License-Identifier: MIT
#include "prompt.hpp"

#include <string>

#include <prefer/data/encode.hpp>
#include <prefer/data/tokenizer.hpp>
#include <prefer/expects.hpp>
#include <prefer/text/utf8.hpp>

namespace language {

std::vector<std::uint32_t> prompt_tokens(prefer::data::turns const& prompt,
                                         prefer::lm::tokenizer const& words) {
  return prefer::data::encode_part(prompt, prefer::data::turn_part::prompt, words);
}

std::vector<std::uint32_t> completion_tokens(prefer::data::turns const& completion,
                                             prefer::lm::tokenizer const& words) {
  return prefer::data::encode_part(completion, prefer::data::turn_part::completion, words);
}

std::optional<std::uint32_t> end_of_answer(prefer::data::turns const& prompt,
                                           prefer::lm::tokenizer const& words) {
  auto const turn = prompt.is_text() ? std::nullopt : words.find(words.chat().end_of_turn());
  return turn ? turn : words.end_token();
}

std::string in_short(prefer::data::turns const& prompt) {
  std::string text = prompt.is_text() ? prompt.text() : prompt.messages().back().content.plain();
  constexpr std::size_t excerpt = 40;
  if (text.size() > excerpt) {
    std::size_t end = excerpt;
    while (prefer::text::continues_code_point(text[end])) --end;
    text = text.substr(0, end) + "...";
  }
  return '"' + text + '"';
}

void expect_room(prefer::data::turns const& prompt, std::size_t tokens, std::size_t most,
                 std::size_t context) {
  if (tokens != 0 && tokens + most - 1 <= context) return;
  prefer::refuse("the prompt " + in_short(prompt) + " has " + std::to_string(tokens) +
                 " tokens, and --max-tokens is " + std::to_string(most) +
                 "; expected no more than the model's context together, " +
                 std::to_string(context));
}

}  // namespace language
