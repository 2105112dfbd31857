// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <prefer/lm/text/tokenizer.hpp>
#include <prefer/lm/text/tokenizer_folder.hpp>

namespace prefer::test {

inline std::string utf8(char32_t c) {
  auto const tail = [&](unsigned shift) {
    return static_cast<char>(0x80U | ((static_cast<unsigned>(c) >> shift) & 0x3FU));
  };
  auto const lead = [&](unsigned mark, unsigned shift) {
    return static_cast<char>(mark | (static_cast<unsigned>(c) >> shift));
  };
  if (c < 0x80) return {static_cast<char>(c)};
  if (c < 0x800) return {lead(0xC0, 6), tail(0)};
  if (c < 0x10000) return {lead(0xE0, 12), tail(6), tail(0)};
  return {lead(0xF0, 18), tail(12), tail(6), tail(0)};
}

/// Words, digits, marks, every kind of white space and any code points, run together as nobody writes them.
inline std::string any_text(std::uint32_t seed, std::size_t pieces) {
  std::mt19937 draw(seed);
  auto const below = [&](std::uint32_t n) { return static_cast<std::uint32_t>(draw() % n); };
  static std::vector<std::string> const known = {
      "the",    " cat",   "Don't",   "'ll",    "'S", " 's",     "12345", "3",    ".",
      "...",    "!?",     " ",       "  ",     "\n", "\r\n",    "\n\n",  "\t",   "\u00A0",
      "\u2003", "\u180E", "\u0085",  "\u3000", "é",  "e\u0301", "мир",   "你好", "🙂",
      "½",      "٣",      "<|end|>", "x**2",   "_",  "A"};
  std::string out;
  for (std::size_t i = 0; i < pieces; ++i) {
    if (below(4) != 0) {
      out += known[below(static_cast<std::uint32_t>(known.size()))];
      continue;
    }
    char32_t c = below(0x110000);
    if (c >= 0xD800 && c <= 0xDFFF) c = U'a';
    out += utf8(c);
  }
  return out;
}

/// The vocabulary of a tiny model, which has a token for every byte.
inline lm::tokenizer_data tiny_data(std::string const& model = "llama_tied") {
  return lm::read_tokenizer_folder(PREFER_GOLDEN_DIR "/lm_tiny/" + model);
}
/// The same with control tokens of a chat template behind it.
inline lm::tokenizer_data tiny_data_with(std::vector<std::string> const& control) {
  auto data = tiny_data();
  for (std::string const& each : control) {
    data.tokens.push_back(each);
    data.kinds.push_back(lm::token_kind::control);
  }
  return data;
}

inline std::vector<std::uint32_t> tokens_of(lm::tokenizer const& words, std::string_view text) {
  std::vector<std::uint32_t> tokens;
  words.encode(text, tokens);
  return tokens;
}

}  // namespace prefer::test
