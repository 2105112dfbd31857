// SPDX-License-Identifier: MIT
//
// libFuzzer target: a chat template, and behind the byte 0x1E each a message, its role and its content with 0x1F between.
// The template is known or refused by backend_error, and so are the messages; what the messages say is never a control
// token.
//
//   clang++ -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -Iinclude tests/fuzz/chat_template_fuzz.cpp -lpcre2-8
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include <prefer/lm/text/tokenizer.hpp>

#include "small_tokenizer.hpp"

namespace {

namespace lm = prefer::lm;
namespace data = prefer::data;

void expect(bool holds) {
  if (!holds) std::abort();
}

/// How many control tokens a template's own pieces spell out.
std::size_t control_in(lm::chat_text const& pieces) {
  lm::special_tokens known;
  for (std::uint32_t i = 0; i < small_tokenizer::control.size(); ++i) {
    known.add(small_tokenizer::control[i], i);
  }
  std::size_t count = 0;
  for (lm::chat_piece const& each : pieces) {
    if (!each.by_template) continue;
    for (std::size_t at = 0; auto const found = known.next(each.text, at);) {
      ++count;
      at = found->at + found->size;
    }
  }
  return count;
}

void encode(lm::tokenizer const& words, data::conversation const& messages, data::turn_part part) {
  try {
    std::vector<std::uint32_t> tokens;
    words.encode(messages, part, tokens);
    lm::chat_text const pieces = part == data::turn_part::prompt
                                     ? lm::render_prompt(words.chat(), messages)
                                     : lm::render_completion(words.chat(), messages);
    expect(words.decode(tokens) == lm::joined(pieces));
    auto const control = std::count_if(tokens.begin(), tokens.end(),
                                       [&](std::uint32_t id) { return words.is_control(id); });
    expect(static_cast<std::size_t>(control) == control_in(pieces));
  } catch (prefer::backend_error const&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* bytes, std::size_t count) {
  static lm::tokenizer_data const known = small_tokenizer::data("llama-bpe");
  std::string_view input(reinterpret_cast<char const*>(bytes), count);
  auto const next = [&](char separator) {
    std::size_t const end = std::min(input.find(separator), input.size());
    std::string_view const piece = input.substr(0, end);
    input.remove_prefix(std::min(end + 1, input.size()));
    return std::string(piece);
  };
  auto data = known;
  data.chat_template = next('\x1E');
  lm::tokenizer const words(data, {.thinks = data.chat_template.size() % 2 == 1});
  data::conversation messages;
  while (!input.empty()) {
    std::string_view const rest = input.substr(0, input.find('\x1E'));
    std::size_t const middle = std::min(rest.find('\x1F'), rest.size());
    std::string const role(rest.substr(0, middle));
    std::string const content(rest.substr(std::min(middle + 1, rest.size())));
    messages.push_back({role, content});
    next('\x1E');
  }
  encode(words, messages, data::turn_part::prompt);
  if (!messages.empty()) messages.erase(messages.begin(), messages.end() - 1);
  encode(words, messages, data::turn_part::completion);
  return 0;
}
