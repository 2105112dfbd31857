// SPDX-License-Identifier: MIT
//
// libFuzzer target: bytes that begin with { are a tokenizer.json, which must be refused by backend_error or give a
// tokenizer that works; others are a text, of which the first byte picks the pre-tokenizer. What is encoded decodes to
// the text, or its normal form where the model asks for that, and what is no UTF-8 is refused.
//
//   clang++ -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -Iinclude tests/fuzz/tokenizer_fuzz.cpp -lpcre2-8
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include <prefer/lm/text/tokenizer.hpp>
#include <prefer/lm/text/tokenizer_json.hpp>

#include "small_tokenizer.hpp"

namespace {

namespace lm = prefer::lm;
using tokens = std::vector<std::uint32_t>;

void expect(bool holds) {
  if (!holds) std::abort();
}

void use(lm::tokenizer const& words, std::string_view text, bool has_every_byte) {
  bool const well_formed = !prefer::text::first_invalid_utf8(text);
  for (bool const parsed : {false, true}) {
    tokens made;
    try {
      if (parsed) {
        words.encode_parsed(text, made);
      } else {
        words.encode(text, made);
      }
    } catch (prefer::backend_error const&) {
      expect(!well_formed || !has_every_byte);
      continue;
    }
    expect(well_formed);
    for (std::uint32_t const id : made) expect(id < words.vocabulary());
    // What stands between tokens is put into the form for itself.
    expect(words.puts_into_normal_form_c()
               ? lm::normal_form_c(words.decode(made)) == lm::normal_form_c(text)
               : words.decode(made) == text);
    if (parsed) continue;
    for (std::uint32_t const id : made) expect(!words.is_control(id));
  }
  // Any tokens are a text.
  tokens any;
  for (char const each : text) {
    any.push_back(static_cast<unsigned char>(each) %
                  static_cast<std::uint32_t>(words.vocabulary()));
  }
  expect(!prefer::text::first_invalid_utf8(words.decode(any)));
}

std::vector<lm::tokenizer> of_every_kind() {
  std::vector<lm::tokenizer> all;
  for (auto const& each : lm::pre_tokenizers) all.emplace_back(small_tokenizer::data(each.name));
  return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* bytes, std::size_t count) {
  static std::vector<lm::tokenizer> const known = of_every_kind();
  std::string_view const input(reinterpret_cast<char const*>(bytes), count);
  if (input.empty()) return 0;
  if (input.front() == '{') {
    try {
      auto const data = lm::parse_tokenizer_json(input, "fuzz");
      lm::tokenizer const words(data);
      if (words.vocabulary() != 0) use(words, "the aaaa\n12 \xC3\xA9<|im_end|>", false);
    } catch (prefer::backend_error const&) {
    }
    return 0;
  }
  use(known[static_cast<unsigned char>(input.front()) % known.size()], input.substr(1), true);
  return 0;
}
