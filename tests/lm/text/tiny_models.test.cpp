// SPDX-License-Identifier: MIT
//
// The tokenizers of six tiny models against the library that made them (tests/golden/lm_tiny/README.md).
#include <catch2/catch.hpp>
#include <cstdint>
#include <fstream>
#include <nlohmann/json.hpp>
#include <prefer/lm/text/tokenizer.hpp>
#include <prefer/lm/text/tokenizer_folder.hpp>
#include <string>
#include <vector>

using namespace prefer;

TEST_CASE("tokenizer: tokens and texts of tiny models are those of the library that made them",
          "[lm][text][golden]") {
  for (std::string const name : {"llama_tied", "llama_heads", "llama3_scaled", "mistral_window",
                                 "qwen2_bias", "qwen3_norm"}) {
    std::string const folder = PREFER_GOLDEN_DIR "/lm_tiny/" + name;
    lm::tokenizer const words(lm::read_tokenizer_folder(folder));
    std::ifstream file(folder + "/golden.json");
    auto const golden = nlohmann::json::parse(file);
    REQUIRE(golden["tokenizer"].size() == 28);
    for (auto const& row : golden["tokenizer"]) {
      INFO(name << ": " << row["text"]);
      std::vector<std::uint32_t> tokens;
      words.encode_parsed(row["text"].get<std::string>(), tokens);
      CHECK(tokens == row["ids"].get<std::vector<std::uint32_t>>());
      CHECK(words.decode(tokens) == row["decoded"].get<std::string>());
    }
    // config.json names them by their numbers.
    CHECK(words.end_token() == 1);
    CHECK_FALSE(words.begin_token());
  }
}
