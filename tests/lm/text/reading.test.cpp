// SPDX-License-Identifier: MIT
//
// Tokenizers from tokenizer.json and from GGUF metadata: what is taken, and what is refused by name.
#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <prefer/lm/text/open_tokenizer.hpp>
#include <span>
#include <string>
#include <vector>

#include "any_text.hpp"

using namespace prefer;
using namespace prefer::test;
using Catch::Matchers::Contains;
using nlohmann::json;

namespace {

json file_of(std::string const& model) {
  std::ifstream file(PREFER_GOLDEN_DIR "/lm_tiny/" + model + "/tokenizer.json");
  return json::parse(file);
}
lm::tokenizer_data parsed(json const& file) {
  return lm::parse_tokenizer_json(file.dump(), "tokenizer.json");
}

/// The metadata of a GGUF file without tensors.
class metadata {
 public:
  template <class T>
  void number(T value) {
    char raw[sizeof(T)];
    std::memcpy(raw, &value, sizeof(T));
    bytes_.append(raw, sizeof(T));
  }
  void text(std::string const& value) {
    number(std::uint64_t{value.size()});
    bytes_ += value;
  }
  void key(std::string const& name, std::uint32_t type) {
    text(name);
    number(type);
    ++count_;
  }
  void add(std::string const& name, std::string const& value) {
    key(name, 8);
    text(value);
  }
  void add(std::string const& name, std::uint32_t value) {
    key(name, 4);
    number(value);
  }
  void add(std::string const& name, std::vector<std::string> const& values) {
    key(name, 9);
    number(std::uint32_t{8});
    number(std::uint64_t{values.size()});
    for (auto const& each : values) text(each);
  }
  void add(std::string const& name, std::vector<std::int32_t> const& values) {
    key(name, 9);
    number(std::uint32_t{5});
    number(std::uint64_t{values.size()});
    for (auto const each : values) number(each);
  }
  [[nodiscard]] lm::tokenizer_data read() const {
    metadata whole;
    whole.bytes_ = "GGUF";
    whole.number(std::uint32_t{3});
    whole.number(std::uint64_t{0});
    whole.number(std::uint64_t{count_});
    whole.bytes_ += bytes_;
    auto const file = std::as_bytes(std::span(whole.bytes_));
    return lm::read_tokenizer_gguf(lm::gguf_file(file, "small.gguf"));
  }

 private:
  std::string bytes_;
  std::uint64_t count_ = 0;
};

/// The tokenizer of a tiny model, as GGUF has it; `without` is left out.
metadata tiny_metadata(std::string const& without = "") {
  auto const data = tiny_data();
  std::vector<std::string> merges;
  for (auto const& [left, right] : data.merges) merges.push_back(left + " " + right);
  std::vector<std::int32_t> kinds;
  for (auto const kind : data.kinds) kinds.push_back(static_cast<std::int32_t>(kind));
  metadata out;
  std::string const t = "tokenizer.ggml.";
  if (without != "model") out.add(t + "model", std::string("gpt2"));
  if (without != "pre") out.add(t + "pre", data.pre_tokenizer);
  if (without != "tokens") out.add(t + "tokens", data.tokens);
  if (without != "merges") out.add(t + "merges", merges);
  if (without != "token_type") out.add(t + "token_type", kinds);
  if (without != "eos_token_id") out.add(t + "eos_token_id", std::uint32_t{1});
  return out;
}

}  // namespace

TEST_CASE("tokenizer_json: the steps of every family are recognised, in each of their spellings",
          "[lm][text]") {
  CHECK(parsed(file_of("llama_tied")).pre_tokenizer == "smollm");
  CHECK(parsed(file_of("llama_heads")).pre_tokenizer == "gpt-2");
  CHECK(parsed(file_of("llama3_scaled")).pre_tokenizer == "smaug-bpe");
  CHECK(parsed(file_of("qwen2_bias")).pre_tokenizer == "qwen2");
  auto llama = file_of("llama3_scaled");
  llama["model"]["ignore_merges"] = true;
  CHECK(parsed(llama).pre_tokenizer == "llama-bpe");
  CHECK(parsed(llama).whole_tokens == true);
  auto gpt = file_of("llama_heads");
  gpt["pre_tokenizer"] = {{"type", "ByteLevel"}, {"add_prefix_space", false}};
  CHECK(parsed(gpt).pre_tokenizer == "gpt-2");
  // Merges are pairs, or texts with a space.
  auto spaced = file_of("llama_tied");
  for (auto& each : spaced["model"]["merges"]) {
    each = each[0].get<std::string>() + " " + each[1].get<std::string>();
  }
  CHECK(parsed(spaced).merges == parsed(file_of("llama_tied")).merges);
}

TEST_CASE("tokenizer_json: a begin token of the post-processor", "[lm][text]") {
  auto file = file_of("llama_tied");
  file["post_processor"] = json::parse(R"({"type": "Sequence", "processors": [{"type": "ByteLevel"},
    {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<|start|>"}}, {"Sequence": {"id": "A"}}],
     "special_tokens": {"<|start|>": {"ids": [0]}}}]})");
  auto const data = parsed(file);
  CHECK(data.begin == 0);
  CHECK(data.adds_begin == true);
}

TEST_CASE("tokenizer_json: what changes tokens and is not known is refused by name", "[lm][text]") {
  auto const refused = [](char const* at, json const& value, std::string const& sentence) {
    auto file = file_of("llama_tied");
    file[json::json_pointer(at)] = value;
    INFO(at << " " << value);
    CHECK_THROWS_WITH(parsed(file), Contains("tokenizer.json: ") && Contains(sentence));
  };
  refused("/model/type", "Unigram", "the model is \"Unigram\"; expected \"BPE\"");
  refused("/model/byte_fallback", true, "\"byte_fallback\" is true, as with SentencePiece");
  refused("/model/end_of_word_suffix", "</w>", "\"end_of_word_suffix\" is \"</w>\"");
  refused("/model/vocab", 3, "\"model\" has no \"vocab\"");
  refused("/model/vocab/th", -1, "token \"th\" has no id");
  refused("/model/vocab/th", 9000000, "token \"th\" has the id 9000000");
  refused("/model/merges", nullptr, "\"model\" has no \"merges\"");
  refused("/model/merges/0", "th", "merge 1 is no pair");
  refused("/normalizer", {{"type", "Lowercase"}}, "the normalizer is \"Lowercase\"; expected none");
  refused("/pre_tokenizer", {{"type", "Metaspace"}},
          "the pre-tokenizer is Metaspace; expected that of smollm, gpt-2");
  refused("/pre_tokenizer/pretokenizers/0/individual_digits", false, "runs of digits, then gpt2");
  refused("/pre_tokenizer/pretokenizers/1/pattern/Regex", "x+", "Split by x+");
  refused("/pre_tokenizer/pretokenizers/2/add_prefix_space", true, "\"add_prefix_space\"");
  refused("/post_processor", {{"type", "BertProcessing"}},
          "the post-processor is \"BertProcessing\"");
  refused("/post_processor",
          json::parse(R"({"type": "TemplateProcessing", "single": [{"Sequence": {}},
            {"SpecialToken": {"id": "<|end|>"}}], "special_tokens": {"<|end|>": {"ids": [1]}}})"),
          "adds \"<|end|>\"; expected one token before a text and none behind it");
  refused("/decoder", {{"type", "WordPiece"}}, "the decoder is \"WordPiece\"; expected ByteLevel");
  refused("/added_tokens/0/lstrip", true, "added token \"<|start|>\" has \"lstrip\"");
  CHECK_THROWS_WITH(lm::parse_tokenizer_json("{", "t.json"), Contains("t.json: is no JSON"));
  CHECK_THROWS_WITH(lm::parse_tokenizer_json("[]", "t.json"), Contains("is no JSON object"));
}

TEST_CASE("tokenizer_folder: ends and templates of the files beside it", "[lm][text]") {
  auto const folder = std::filesystem::temp_directory_path() / "prefer_tokenizer_folder";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  auto const write = [&](char const* name, std::string const& text) {
    std::ofstream(folder / name) << text;
  };
  write("tokenizer.json", file_of("llama_tied").dump());
  write("tokenizer_config.json", R"({"bos_token": {"content": "<|start|>"}, "eos_token": "<|end|>",
    "add_bos_token": true, "chat_template": "from the configuration"})");
  write("generation_config.json", R"({"eos_token_id": [1, 7]})");
  write("config.json", R"({"eos_token_id": 9})");
  auto data = lm::read_tokenizer_folder(folder);
  CHECK(data.begin == 0);
  CHECK(data.adds_begin == true);
  CHECK(data.ends == std::vector<std::uint32_t>{1, 7});
  CHECK(data.chat_template == "from the configuration");
  write("chat_template.jinja", "<|im_start|>");
  CHECK(lm::read_tokenizer_folder(folder / "tokenizer.json").chat_template == "<|im_start|>");
  CHECK(lm::open_tokenizer(folder / "model.safetensors").begin_token() == 0);
  write("config.json", "[");
  CHECK_THROWS_WITH(lm::read_tokenizer_folder(folder), Contains("config.json: is no JSON object"));
  std::filesystem::remove_all(folder);
}

TEST_CASE("tokenizer_gguf: a tokenizer from metadata is that of tokenizer.json", "[lm][text]") {
  auto const data = tiny_metadata().read();
  lm::tokenizer const words(data);
  lm::tokenizer const same(tiny_data());
  CHECK(words.end_token() == 1);
  for (std::uint32_t seed = 0; seed < 20; ++seed) {
    auto const text = any_text(seed, 30);
    CHECK(tokens_of(words, text) == tokens_of(same, text));
  }
}

TEST_CASE("tokenizer_gguf: what is missing or not known is refused by its key", "[lm][text]") {
  auto const refused = [](std::string const& without, auto const& change,
                          std::string const& sentence) {
    auto file = tiny_metadata(without);
    change(file);
    INFO(without);
    CHECK_THROWS_WITH(file.read(), Contains("small.gguf: ") && Contains(sentence));
  };
  auto const nothing = [](metadata&) {};
  std::string const t = "tokenizer.ggml.";
  refused("model", nothing, "\"tokenizer.ggml.model\" is missing, expected \"gpt2\"");
  refused(
      "model", [&](auto& m) { m.add(t + "model", std::string("llama")); },
      "is \"llama\" (SentencePiece, which comes later), expected \"gpt2\"");
  refused("pre", nothing, "\"tokenizer.ggml.pre\" is missing, expected smollm, gpt-2, llama-bpe");
  refused(
      "pre", [&](auto& m) { m.add(t + "pre", std::string("tekken")); },
      "\"tokenizer.ggml.pre\" is \"tekken\", expected smollm");
  refused("tokens", nothing, "has no \"tokenizer.ggml.tokens\"");
  refused("merges", nothing, "has no \"tokenizer.ggml.tokens\" with \"tokenizer.ggml.merges\"");
  refused(
      "merges", [&](auto& m) { m.add(t + "merges", std::vector<std::string>{"th"}); },
      "\"th\" is no pair with a space between");
  refused(
      "token_type", [&](auto& m) { m.add(t + "token_type", std::vector<std::int32_t>{9}); },
      "has a 9, expected 1 to 6");
  refused(
      "eos_token_id", [&](auto& m) { m.add(t + "eos_token_id", std::uint32_t{380}); },
      "is 380, expected less than the 380 tokens");
}
