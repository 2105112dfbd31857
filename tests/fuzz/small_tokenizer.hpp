// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <prefer/lm/text/tokenizer.hpp>

// What the fuzzers of tokenizers and of chat templates begin with: a vocabulary of every byte, some merges, and control
// tokens.
namespace small_tokenizer {

inline std::vector<std::string> const control = {"<|im_start|>",
                                                 "<|im_end|>",
                                                 "<|start_header_id|>",
                                                 "<|end_header_id|>",
                                                 "<|eot_id|>",
                                                 "<|begin|>",
                                                 "</s>",
                                                 "[INST]",
                                                 "[/INST]",
                                                 "<|im_end|>more"};

inline prefer::lm::tokenizer_data data(std::string_view pre_tokenizer) {
  using prefer::lm::token_kind;
  prefer::lm::tokenizer_data out;
  out.place = "fuzz";
  out.pre_tokenizer = std::string(pre_tokenizer);
  for (int byte = 0; byte < 256; ++byte) {
    out.tokens.push_back(prefer::lm::letters_of_bytes(std::string(1, static_cast<char>(byte))));
  }
  for (auto const& [left, right] : std::vector<std::pair<std::string, std::string>>{{"t", "h"},
                                                                                    {"th", "e"},
                                                                                    {"Ġ", "the"},
                                                                                    {"a", "a"},
                                                                                    {"aa", "aa"},
                                                                                    {"Ã", "©"},
                                                                                    {"Ġ", "Ġ"}}) {
    out.merges.emplace_back(left, right);
    out.tokens.push_back(left + right);
  }
  out.kinds.assign(out.tokens.size(), token_kind::normal);
  for (std::string const& each : control) {
    out.tokens.push_back(each);
    out.kinds.push_back(token_kind::control);
  }
  out.tokens.emplace_back("<think>");
  out.kinds.push_back(token_kind::user_defined);
  out.begin = 256 + 7 + 5;
  out.ends = {256 + 7 + 6};
  return out;
}

}  // namespace small_tokenizer
