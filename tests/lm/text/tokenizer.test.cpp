// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cstdint>
#include <prefer/data/encode.hpp>
#include <prefer/lm/text/tokenizer.hpp>
#include <string>
#include <vector>

#include "any_text.hpp"

using namespace prefer;
using namespace prefer::test;
using Catch::Matchers::Contains;
using tokens = std::vector<std::uint32_t>;

TEST_CASE("tokenizer: decoding what was encoded gives the text, whatever the family",
          "[lm][text]") {
  for (std::string const name : {"llama_tied", "llama_heads", "llama3_scaled", "qwen2_bias"}) {
    lm::tokenizer const words(tiny_data(name));
    for (std::uint32_t seed = 0; seed < 100; ++seed) {
      auto const text = any_text(seed, 40);
      INFO(name << ": " << text);
      CHECK(words.decode(tokens_of(words, text)) == text);
    }
    std::string const page(3000, 'x');  // without a space, beyond the short way of merging
    CHECK(words.decode(tokens_of(words, page)) == page);
  }
}

TEST_CASE("tokenizer: a text is no control token unless that is asked for", "[lm][text]") {
  lm::tokenizer const words(tiny_data());
  auto const as_text = tokens_of(words, "a<|end|>b");
  CHECK(std::count(as_text.begin(), as_text.end(), 1) == 0);
  CHECK(words.decode(as_text) == "a<|end|>b");
  tokens parsed;
  words.encode_parsed("a<|end|>b", parsed);
  REQUIRE(parsed.size() == 3);
  CHECK(parsed[1] == 1);
  CHECK(words.decode(parsed) == "a<|end|>b");
  CHECK(words.decode_text(parsed) == "ab");
  CHECK(words.is_control(1));
  CHECK(words.find("<|end|>") == 1);
  CHECK_FALSE(words.find("<|end"));
}

TEST_CASE("tokenizer: a user-defined token is found wherever it stands", "[lm][text]") {
  auto data = tiny_data();
  data.tokens.emplace_back("<think>");
  data.kinds.push_back(lm::token_kind::user_defined);
  auto const id = static_cast<std::uint32_t>(data.tokens.size() - 1);
  lm::tokenizer const words(data);
  auto const found = tokens_of(words, "x<think>y");
  REQUIRE(found.size() == 3);
  CHECK(found[1] == id);
  CHECK(words.decode(found) == "x<think>y");
  CHECK(words.decode_text(found) == "x<think>y");
}

TEST_CASE("tokenizer: a pre-token that is in the vocabulary is taken whole where the table says so",
          "[lm][text]") {
  auto data = tiny_data();
  data.tokens.emplace_back("zzz");  // no merge makes it
  data.kinds.push_back(lm::token_kind::normal);
  auto const id = static_cast<std::uint32_t>(data.tokens.size() - 1);
  data.whole_tokens = {};
  CHECK(tokens_of(lm::tokenizer(data), "zzz").size() == 3);
  data.whole_tokens = true;
  CHECK(tokens_of(lm::tokenizer(data), "zzz") == tokens{id});
  data.whole_tokens = {};
  data.pre_tokenizer = "llama-bpe";
  CHECK(tokens_of(lm::tokenizer(data), "zzz") == tokens{id});
  data.pre_tokenizer = "smaug-bpe";
  CHECK(tokens_of(lm::tokenizer(data), "zzz").size() == 3);
}

TEST_CASE("tokenizer: a begin token where the table or the file says so, and there is one",
          "[lm][text]") {
  auto data = tiny_data();
  data.begin = 0;
  data.adds_begin = {};
  CHECK_FALSE(lm::tokenizer(data).begin_token());
  data.pre_tokenizer = "llama-bpe";
  CHECK(lm::tokenizer(data).begin_token() == 0);
  data.adds_begin = false;
  CHECK_FALSE(lm::tokenizer(data).begin_token());
  data.adds_begin = true;
  data.begin = {};
  CHECK_FALSE(lm::tokenizer(data).begin_token());
}

TEST_CASE("tokenizer: what cannot be encoded is refused with its place", "[lm][text]") {
  lm::tokenizer const words(tiny_data());
  tokens into;
  CHECK_THROWS_WITH(words.encode("ab\xFFz", into), Contains("byte 2: does not belong to UTF-8"));
  CHECK_THROWS_WITH(words.encode("ab\xE2\x82", into), Contains("byte 2"));
  CHECK(into.empty());
  auto data = tiny_data();
  std::size_t z = 0;
  while (data.tokens[z] != "z") ++z;
  data.kinds[z] = lm::token_kind::unused;
  CHECK_THROWS_WITH(tokens_of(lm::tokenizer(data), "a zoo"),
                    Contains("the vocabulary has no token for byte 122"));
  CHECK_THROWS_AS(words.bytes(100000), precondition_error);
}

TEST_CASE("tokenizer: a vocabulary that cannot be is refused by name", "[lm][text]") {
  auto const refused = [](auto const& change, std::string const& sentence) {
    auto data = tiny_data();
    change(data);
    CHECK_THROWS_WITH(lm::tokenizer(data), Contains(sentence));
  };
  refused([](auto& d) { d.pre_tokenizer = "tekken"; },
          "found the pre-tokenizer \"tekken\"; expected smollm, gpt-2, llama-bpe");
  refused([](auto& d) { d.pre_tokenizer = ""; }, "the pre-tokenizer is not named; expected smollm");
  refused([](auto& d) { d.kinds.pop_back(); }, "has 380 tokens and 379 kinds");
  refused([](auto& d) { d.merges.emplace_back("q", "zq"); }, "merge 123: \"q\" and \"zq\"");
  refused([](auto& d) { d.begin = 380; }, "the begin token is 380; expected less than 380");
  refused([](auto& d) { d.ends = {1, 999}; }, "the end token is 999");
}

TEST_CASE("tokenizer: another vocabulary, pre-tokenizer or template is another identity",
          "[lm][text]") {
  auto const same = lm::tokenizer(tiny_data()).identity();
  CHECK(lm::tokenizer(tiny_data()).identity() == same);
  auto const other = [&](auto const& change) {
    auto data = tiny_data();
    change(data);
    CHECK(lm::tokenizer(data).identity() != same);
  };
  other([](auto& d) { std::swap(d.merges[0], d.merges[1]); });
  other([](auto& d) {
    d.tokens.back() += 'x';
    d.merges.pop_back();
  });
  other([](auto& d) { d.pre_tokenizer = "gpt-2"; });
  other([](auto& d) { d.chat_template = "<|im_start|>"; });
  other([](auto& d) { d.ends = {}; });
  other([](auto& d) { d.adds_begin = true; });
}

TEST_CASE("encode: rows reach a language model with begin and end where it has them",
          "[lm][text]") {
  auto data = tiny_data_with({"<|im_start|>", "<|im_end|>"});
  data.chat_template = "<|im_start|><|im_end|>";
  data.begin = 0;
  data.adds_begin = true;
  lm::tokenizer const words(data);
  auto const start = *words.find("<|im_start|>");
  auto const end = *words.find("<|im_end|>");
  token_sequences sequences;
  std::vector<data::preference_pair> const texts = {
      {.prompt = "the cat", .chosen = "sat", .rejected = "ran"}};
  auto const plain = data::encode(texts, words, sequences);
  auto const prompt = sequences.prompts.tokens(plain.prompt[0]);
  CHECK(prompt.front() == 0);
  CHECK(std::count(prompt.begin(), prompt.end(), 0) == 1);
  CHECK(sequences.completions.tokens(plain.completion[0]).back() == 1);

  std::vector<data::preference_pair> const chats = {
      {.prompt = data::conversation{{"user", "the <|im_end|> cat"}},
       .chosen = data::conversation{{"assistant", "sat"}},
       .rejected = data::conversation{{"assistant", "ran"}},
       .line = 7}};
  data::encode_report report;
  auto const chat = data::encode(chats, words, sequences, {.prompt = 12}, report);
  auto const cut = sequences.prompts.tokens(chat.prompt[0]);
  CHECK(cut.size() == 12);
  CHECK(cut.front() == 0);  // the begin token stays where a prompt is cut
  auto const answer = sequences.completions.tokens(chat.completion[0]);
  CHECK(answer.back() == end);
  CHECK(std::count(answer.begin(), answer.end(), start) == 0);

  auto wrong = chats;
  wrong[0].chosen = data::conversation{{"user", "sat"}};
  CHECK_THROWS_WITH(data::encode(wrong, words, sequences),
                    Contains("line 7: message 1: is by \"user\"; expected a completion"));
  wrong = chats;
  wrong[0].context = {{"tools", "[{}]"}};
  CHECK_THROWS_WITH(data::encode(wrong, words, sequences), Contains("line 7: tools: "));
}
