// SPDX-License-Identifier: MIT
#include "prompt.hpp"

#include <string>

#include <prefer/data/tokenizer.hpp>
#include <prefer/expects.hpp>
#include <prefer/text/utf8.hpp>

namespace language {

std::vector<std::uint32_t> prompt_tokens(prefer::data::turns const& prompt,
                                         prefer::lm::tokenizer const& words) {
  std::vector<std::uint32_t> out;
  if (prompt.is_text()) {
    if (auto const begin = words.begin_token()) out.push_back(*begin);
    words.encode(prompt.text(), out);
  } else {
    words.encode(prompt.messages(), prefer::data::turn_part::prompt, out);
  }
  return out;
}

std::vector<std::uint32_t> completion_tokens(prefer::data::turns const& completion,
                                             prefer::lm::tokenizer const& words) {
  std::vector<std::uint32_t> out;
  if (completion.is_text()) {
    words.encode(completion.text(), out);
    if (auto const end = words.end_token()) out.push_back(*end);
  } else {
    words.encode(completion.messages(), prefer::data::turn_part::completion, out);
  }
  return out;
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
