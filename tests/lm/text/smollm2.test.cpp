// SPDX-License-Identifier: MIT
//
// The tokenizer of SmolLM2-135M-Instruct against transformers (tests/golden/llm), where the environment says where the
// model is: PREFER_SMOLLM2=SmolLM2-135M-Instruct.Q4_1.gguf
#include <catch2/catch.hpp>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <prefer/lm/text/open_tokenizer.hpp>
#include <string>
#include <vector>

using namespace prefer;

TEST_CASE("tokenizer: texts and chats of SmolLM2 are encoded as by transformers",
          "[lm][text][golden]") {
  char const* const model = std::getenv("PREFER_SMOLLM2");
  if (model == nullptr) {
    WARN("skipped: PREFER_SMOLLM2 does not say where SmolLM2-135M-Instruct.Q4_1.gguf is");
    return;
  }
  lm::tokenizer const words = lm::open_tokenizer(model);
  std::ifstream texts(PREFER_GOLDEN_DIR "/llm/tokenizer.json");
  auto const golden = nlohmann::json::parse(texts);
  REQUIRE(golden["cases"].size() == 42);
  std::vector<std::uint32_t> tokens;
  for (auto const& each : golden["cases"]) {
    tokens.clear();
    words.encode_parsed(each["text"].get<std::string>(), tokens);
    INFO(each["text"]);
    CHECK(tokens == each["ids"].get<std::vector<std::uint32_t>>());
    CHECK(words.decode(tokens) == each["decoded"].get<std::string>());
  }
  std::ifstream rows(PREFER_GOLDEN_DIR "/llm/log_probs.json");
  auto const scored = nlohmann::json::parse(rows);
  REQUIRE(scored["rows"].size() == 4);
  for (auto const& row : scored["rows"]) {
    tokens.clear();
    words.encode(data::conversation{{"user", row["prompt"].get<std::string>()}},
                 data::turn_part::prompt, tokens);
    CHECK(tokens == row["prompt_ids"].get<std::vector<std::uint32_t>>());
    CHECK(words.decode(tokens) == row["prompt_text"].get<std::string>());
    for (char const* const which : {"chosen", "rejected"}) {
      tokens.clear();
      words.encode(data::conversation{{"assistant", row[which]["text"].get<std::string>()}},
                   data::turn_part::completion, tokens);
      CHECK(tokens == row[which]["ids"].get<std::vector<std::uint32_t>>());
    }
  }
  CHECK_FALSE(words.begin_token());
  CHECK(words.end_token() == 2);
  CHECK(words.stop_tokens() == std::vector<std::uint32_t>{2});
}
