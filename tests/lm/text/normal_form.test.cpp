// SPDX-License-Identifier: MIT
//
// Unicode's normal form C, against another implementation of it (tests/golden/unicode/make_normal_form.py), and what a
// tokenizer makes of it.
#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <nlohmann/json.hpp>
#include <prefer/lm/text/normal_form.hpp>
#include <prefer/lm/text/tokenizer_json.hpp>
#include <prefer/lm/text/tokenizer_writing.hpp>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "any_text.hpp"

using namespace prefer;
using namespace prefer::test;
using Catch::Matchers::Contains;
using nlohmann::json;

namespace {

std::string text_of(std::string const& code_points) {
  std::istringstream in(code_points);
  std::string out;
  for (std::uint32_t c = 0; in >> std::hex >> c;) out += utf8(c);
  return out;
}

/// The tokenizer.json of a tiny model, with a normalizer.
json file_with(json const& normalizer, std::string const& model = "qwen2_bias") {
  std::ifstream in(PREFER_GOLDEN_DIR "/lm_tiny/" + model + "/tokenizer.json");
  json file = json::parse(in);
  file["normalizer"] = normalizer;
  return file;
}
lm::tokenizer_data read(json const& file) { return lm::parse_tokenizer_json(file.dump(), "t"); }

json const nfc = {{"type", "NFC"}};

}  // namespace

TEST_CASE("normal_form: golden texts are put into the form that another library puts them into",
          "[lm][text][golden]") {
  std::ifstream file(PREFER_GOLDEN_DIR "/unicode/normal_form_c.json");
  auto const golden = json::parse(file);
  REQUIRE(golden["cases"].size() == 7042);
  std::set<std::string> single;
  for (auto const& row : golden["cases"]) {
    INFO(row);
    std::string const written = text_of(row.front());
    bool const in_form = row.size() == 1;
    std::string const form = in_form ? written : text_of(row.back());
    REQUIRE(lm::normal_form_c(written) == form);
    REQUIRE(lm::normal_form_c(form) == form);
    // Nothing that changes is taken for certain.
    REQUIRE((in_form || !lm::surely_in_normal_form_c(written)));
    if (!in_form && row.front().get<std::string>().find(' ') == std::string::npos) {
      single.insert(written);
    }
  }
  // Alone, every other character is its own form.
  CHECK(single.size() == 1120);
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    std::string const alone = utf8(c);
    if ((lm::normal_form_c(alone) == alone) == (single.count(alone) == 0)) continue;
    FAIL("U+" << std::hex << static_cast<std::uint32_t>(c));
  }
}

TEST_CASE("normal_form: syllables of Hangul are made of their jamo and of nothing else",
          "[lm][text]") {
  char32_t syllable = 0xAC00;
  std::size_t wrong = 0;
  for (char32_t lead = 0x1100; lead <= 0x1112; ++lead) {
    for (char32_t vowel = 0x1161; vowel <= 0x1175; ++vowel) {
      for (char32_t tail = 0x11A7; tail <= 0x11C2; ++tail, ++syllable) {
        std::string const jamo = utf8(lead) + utf8(vowel) + (tail == 0x11A7 ? "" : utf8(tail));
        if (lm::normal_form_c(jamo) != utf8(syllable)) ++wrong;
        if (!lm::surely_in_normal_form_c(utf8(syllable))) ++wrong;
      }
    }
  }
  CHECK(syllable == 0xD7A4);
  CHECK(wrong == 0);
  CHECK(lm::normal_form_c("\u1161\u1100") == "\u1161\u1100");
}

TEST_CASE("normal_form: most texts are told to be in the form without being made", "[lm][text]") {
  for (std::string const text : {"", "plain", "naïve café", "Привет, мир", "你好，世界", "안녕",
                                 "🙂", "Ελληνικά", "ตัวอย่าง", "שלום"}) {
    INFO(text);
    CHECK(lm::surely_in_normal_form_c(text));
    CHECK(lm::normal_form_c(text) == text);
  }
  CHECK_FALSE(lm::surely_in_normal_form_c("nai\u0308ve"));
  CHECK(lm::normal_form_c("nai\u0308ve") == "naïve");
}

TEST_CASE("tokenizer: texts have the tokens of their normal form where the model asks for it",
          "[lm][text]") {
  lm::tokenizer const plain(read(file_with(nullptr)));
  lm::tokenizer const words(read(file_with(nfc)));
  CHECK(words.puts_into_normal_form_c());
  CHECK_FALSE(plain.puts_into_normal_form_c());
  CHECK(words.identity() != plain.identity());
  std::string const apart = "cafe\u0301 \u1112\u1161\u11AB", put_together = "café 한";
  CHECK(tokens_of(plain, apart) != tokens_of(plain, put_together));
  CHECK(tokens_of(words, apart) == tokens_of(plain, put_together));
  CHECK(words.decode(tokens_of(words, apart)) == put_together);
  for (std::uint32_t seed = 0; seed < 20; ++seed) {
    auto const text = any_text(seed, 30);
    CHECK(tokens_of(words, text) == tokens_of(plain, lm::normal_form_c(text)));
  }
}

TEST_CASE("tokenizer: the normal form does not reach over a token that is found before",
          "[lm][text]") {
  // ">" and U+0338 go together, as one character.
  std::string const mark = "\u0338", text = "<|end|>" + mark + "<tool>" + mark;
  auto file = file_with(nfc);
  auto const added = [](bool normalized) {
    return json{{"id", 380}, {"content", "<tool>"}, {"special", false}, {"normalized", normalized}};
  };
  file["added_tokens"].push_back(added(false));
  lm::tokenizer const before(read(file));
  file["added_tokens"].back() = added(true);
  lm::tokenizer const after(read(file));
  CHECK(before.find("<tool>") == 380u);
  CHECK(after.find("<tool>") == 380u);
  auto const parsed = [&](lm::tokenizer const& words) {
    std::vector<std::uint32_t> tokens;
    words.encode_parsed(text, tokens);
    return tokens;
  };
  auto const of_mark = tokens_of(before, mark);
  std::vector<std::uint32_t> expected = {1};
  expected.insert(expected.end(), of_mark.begin(), of_mark.end());
  auto const up_to_tool = expected;
  expected.push_back(380);
  expected.insert(expected.end(), of_mark.begin(), of_mark.end());
  CHECK(parsed(before) == expected);
  auto found = up_to_tool;
  after.encode("<tool\u226F", found);
  // One piece of text: the mark and what follows it are split together.
  std::vector<std::uint32_t> whole = {1};
  after.encode(mark + "<tool\u226F", whole);
  CHECK(parsed(after) == whole);
  CHECK(tokens_of(after, "a<tool>b")[1] == 380);
}

TEST_CASE("tokenizer_json: a normal form is read, written and read again", "[lm][text]") {
  auto const form_of = [](json const& normalizer) {
    return read(file_with(normalizer)).normal_form_c;
  };
  CHECK(form_of(nullptr) == false);
  CHECK(form_of(nfc) == true);
  CHECK(form_of({{"type", "Sequence"}, {"normalizers", json::array()}}) == false);
  CHECK(form_of({{"type", "Sequence"}, {"normalizers", {nfc}}}) == true);
  CHECK_THROWS_WITH(
      form_of({{"type", "Sequence"}, {"normalizers", {nfc, {{"type", "Lowercase"}}}}}),
      Contains("the normalizer is \"Lowercase\"; expected none or NFC"));
  for (json const& normalizer : {json(nullptr), nfc}) {
    auto file = file_with(normalizer);
    file["added_tokens"].push_back(
        {{"id", 380}, {"content", "<tool>"}, {"special", false}, {"normalized", true}});
    auto const data = read(file);
    auto const again = lm::parse_tokenizer_json(lm::tokenizer_to_json(data), "t");
    CHECK(again.normal_form_c == data.normal_form_c);
    CHECK(again.found_after == std::vector<std::uint32_t>{380});
  }
  // What a file does not say, the pre-tokenizer's name does.
  auto data = read(file_with(nullptr));
  data.normal_form_c.reset();
  CHECK(lm::tokenizer(data).puts_into_normal_form_c());
  CHECK(json::parse(lm::tokenizer_to_json(data))["normalizer"] == nfc);
  data.pre_tokenizer = "gpt-2";
  CHECK_FALSE(lm::tokenizer(data).puts_into_normal_form_c());
}
