// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "../workplace.hpp"

namespace {

using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;
using namespace prefer::test;
using nlohmann::json;

std::string const tiny = PREFER_GOLDEN_DIR "/lm_tiny/llama_tied";

workplace tokenize() { return {"tokenize", PREFER_EXAMPLE_TOKENIZE}; }
std::string with_model(std::string const& rest) { return "--model '" + tiny + "' " + rest; }

}  // namespace

TEST_CASE("tokenize: texts to tokens and back", "[examples][tokenize]") {
  auto const place = tokenize();
  auto const there = json::parse(place.run(with_model("--json ' the cat' 'a<|end|>'")).out);
  // tests/golden/lm_tiny/llama_tied/golden.json has " the cat sat".
  CHECK(there["texts"][0]["ids"].size() == there["texts"][0]["pieces"].size());
  CHECK(there["texts"][1]["ids"].size() > 2);
  std::string ids;
  for (auto const& each : there["texts"][0]["ids"]) ids += each.dump() + " ";
  CHECK(place.run(with_model("--ids " + ids)).out == " the cat\n");
  auto const parsed = json::parse(place.run(with_model("--json --special 'a<|end|>'")).out);
  CHECK(parsed["texts"][0]["ids"].back() == 1);
  CHECK_THAT(place.run(with_model("'a\nb'")).out, Contains("\"\\n\""));
}

TEST_CASE("tokenize: a row is shown as it is fed: prompt, scored, shared, cut",
          "[examples][tokenize]") {
  auto const place = tokenize();
  place.file("pairs.jsonl",
             R"({"prompt": "the cat", "chosen": "sat here", "rejected": "sat there"})");
  auto const row =
      json::parse(place.run(with_model("--json --quiet --data pairs.jsonl")).out)["rows"][0];
  CHECK(row["line"] == 1);
  CHECK(row["shared"].get<std::size_t>() > 0);
  CHECK(row["shared"].get<std::size_t>() < row["chosen"].size());
  CHECK(row["chosen"].back()["by"] == "template");  // the end token
  CHECK(row["chosen"].back()["id"] == 1);
  CHECK(row["prompt"][0]["by"] == "row");
  auto const cut = json::parse(
      place.run(with_model("--json --quiet --data pairs.jsonl --max-completion 3")).out)["rows"][0];
  CHECK(cut["chosen"][2]["cut"] == false);
  CHECK(cut["chosen"][3]["cut"] == true);
  CHECK_THAT(
      place.run(with_model("--quiet --data pairs.jsonl")).out,
      StartsWith("line 1: a prompt of ") && Contains("chosen, shared") && Contains("scored"));
  auto const chat = place.run(with_model("--data pairs.jsonl --texts chat"));
  CHECK(chat.code == 1);
  CHECK_THAT(chat.err, Contains("line 1: the chat template: is missing; expected chatml, llama3"));
}

TEST_CASE("tokenize: who wrote a token is told where texts are put into normal form",
          "[examples][tokenize]") {
  auto const place = tokenize();
  std::ifstream file(PREFER_GOLDEN_DIR "/lm_tiny/qwen2_bias/tokenizer.json");
  auto words = json::parse(file);
  words["normalizer"] = {{"type", "NFC"}};
  place.file("tokenizer.json", words.dump());
  place.file("tokenizer_config.json", R"({"eos_token": "<|end|>"})");
  // The first becomes shorter in normal form C, the second longer, and the third stays.
  for (std::string const letter : {"e\u0301", "\u0958", "e"}) {
    std::string text;
    for (int i = 0; i != 20; ++i) text += letter;
    json const row = {{"prompt", "the"}, {"chosen", text}, {"rejected", "no"}};
    place.file("pairs.jsonl", row.dump());
    auto const run = place.run("--model . --json --quiet --data pairs.jsonl");
    INFO(run.err);
    auto const tokens = json::parse(run.out)["rows"][0]["chosen"];
    REQUIRE(tokens.size() > 1);
    CHECK(tokens.back()["text"] == "<|end|>");
    CHECK(tokens.back()["by"] == "template");
    for (std::size_t i = 0; i + 1 != tokens.size(); ++i) CHECK(tokens[i]["by"] == "row");
  }
}

TEST_CASE("tokenize: golden files agree, and one that does not ends with 1",
          "[examples][tokenize]") {
  auto const place = tokenize();
  auto const run = place.run("--check '" PREFER_GOLDEN_DIR "'/lm_tiny/*/golden.json");
  INFO(run.err);
  CHECK(run.code == 0);
  CHECK(run.lines() == 6);
  CHECK_THAT(run.out, Contains("qwen2_bias/golden.json: 28 texts, all agree"));
  place.file("wrong.json", R"({"cases": [{"text": "hello", "ids": [1, 2], "decoded": "x"}]})");
  auto const wrong = place.run(with_model("--check wrong.json"));
  CHECK(wrong.code == 1);
  CHECK_THAT(wrong.out, Contains("wrong.json: 1 texts, 2 differences") &&
                            Contains("text      \"hello\"") && Contains("expected  1 2"));
  place.file("other.json", R"({"a": 1})");
  CHECK_THAT(place.run(with_model("--check other.json")).err,
             StartsWith("tokenize: other.json: is of no form that is known; expected \"cases\""));
  CHECK_THAT(place.run("--check wrong.json").err, Contains("expected --model beside it"));
}

TEST_CASE("tokenize: what cannot be is refused in a sentence", "[examples][tokenize]") {
  auto const place = tokenize();
  auto const refused = [&](std::string const& arguments, std::string const& sentence, int code) {
    auto const run = place.run(arguments);
    INFO(arguments << '\n' << run.err);
    CHECK(run.code == code);
    CHECK(run.out.empty());
    CHECK_THAT(run.err, StartsWith("tokenize: ") && Contains(sentence));
  };
  refused("hello", "--model: found nothing; expected the model's file", 2);
  refused(with_model(""), "found nothing to do; expected a text", 2);
  refused(with_model("--ids 99999"), "--ids: found 99999; the vocabulary has the tokens 0 to 379",
          2);
  refused(with_model("--ids x"), "--ids: found \"x\"", 2);
  refused(with_model("--chat-template gemma a"), "expected chatml, llama3, zephyr or mistral", 2);
  refused(with_model("$(printf 'a\\377')"), "byte 1: does not belong to UTF-8 text", 1);
  refused("--model none.gguf a", "none.gguf", 1);
  place.file("cut.gguf", "GGUF");
  refused("--model cut.gguf a", "cut.gguf", 1);
}
