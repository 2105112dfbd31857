// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>
#include <prefer/lm/files/any_adapter.hpp>
#include <prefer/lm/files/gguf_adapter.hpp>
#include <prefer/lm/files/model_file.hpp>
#include <prefer/lm/files/peft_adapter.hpp>
#include <prefer/lm/text/tokenizer_folder.hpp>
#include <prefer/lm/text/tokenizer_gguf.hpp>

#include "../workplace.hpp"

namespace {

namespace fs = std::filesystem;
namespace lm = prefer::lm;
using Catch::Matchers::Contains;
using prefer::test::workplace;

std::string const tiny = std::string(PREFER_GOLDEN_DIR) + "/lm_tiny/";

workplace convert() { return {"convert", PREFER_EXAMPLE_CONVERT}; }

void runs(workplace const& place, std::string const& arguments) {
  auto const run = place.run(arguments);
  INFO("convert " << arguments << '\n' << run.err);
  REQUIRE(run.code == 0);
  CHECK(run.err.empty());
}

/// The tiny model of this name, to be changed.
void copy_model(workplace const& place, std::string const& name) {
  fs::copy(tiny + name, place / name, fs::copy_options::recursive);
  fs::permissions(place / name, fs::perms::owner_all);
  for (auto const& each : fs::recursive_directory_iterator(place / name)) {
    fs::permissions(each, fs::perms::owner_all);
  }
}

std::vector<float> numbers(lm::model_file const& model, std::string const& tensor) {
  auto const matrix = model.matrix<float>(tensor, lm::weight_storage::values);
  return {matrix.values().begin(), matrix.values().end()};
}

void check_same_tokenizer(lm::tokenizer_data const& a, lm::tokenizer_data const& b) {
  CHECK(a.tokens == b.tokens);
  CHECK(a.kinds == b.kinds);
  CHECK(a.merges == b.merges);
  CHECK(a.pre_tokenizer == b.pre_tokenizer);
  CHECK(a.normal_form_c == b.normal_form_c);
  CHECK(a.found_after == b.found_after);
  CHECK(a.begin == b.begin);
  CHECK(a.ends == b.ends);
  CHECK(a.chat_template == b.chat_template);
}

}  // namespace

TEST_CASE("convert: to GGUF and back is the same model with the same tokenizer",
          "[examples][convert]") {
  for (std::string const name : {"llama_tied", "llama3_scaled", "mistral_window", "qwen2_bias"}) {
    INFO(name);
    auto const place = convert();
    runs(place, "--model " + tiny + name + " --output there.gguf");
    runs(place, "--model there.gguf --output back");
    CHECK(lm::model_file(place / "back").identity() == lm::model_file(tiny + name).identity());
    check_same_tokenizer(lm::read_tokenizer_folder(tiny + name),
                         lm::read_tokenizer_gguf(lm::gguf_file(place.path("there.gguf"))));
    check_same_tokenizer(lm::read_tokenizer_folder(tiny + name),
                         lm::read_tokenizer_folder(place / "back"));
  }
}

TEST_CASE("convert: an adapter is the same in both layouts, apart and merged",
          "[examples][convert]") {
  auto const place = convert();
  std::string const model = " --model " + tiny + "llama_heads";
  std::string const adapter = " --adapter " + tiny + "llama_heads/adapter";
  runs(place, model + adapter + " --keep-apart --output adapter.gguf");
  runs(place, model + " --adapter adapter.gguf --keep-apart --output peft");
  runs(place, model + adapter + " --output by_peft.gguf");
  runs(place, model + " --adapter adapter.gguf --output by_gguf");
  runs(place, model + " --adapter peft --output again.gguf");
  CHECK(lm::read_peft_adapter<float>(place / "peft").rank == 4);
  lm::model_file const one(place / "by_peft.gguf"), other(place / "by_gguf"),
      third(place / "again.gguf"), base(tiny + "llama_heads");
  for (std::string const map : {"self_attn.q_proj", "mlp.down_proj"}) {
    auto const name = "model.layers.1." + map + ".weight";
    CHECK(numbers(one, name) == numbers(other, name));
    CHECK(numbers(one, name) == numbers(third, name));
    CHECK(numbers(one, name) != numbers(base, name));
  }
  CHECK(numbers(one, "lm_head.weight") == numbers(base, "lm_head.weight"));
}

TEST_CASE("convert: a document says what was written", "[examples][convert]") {
  auto const place = convert();
  auto const run =
      place.run("--json --quiet --type q8_0 --output out.gguf --model " + tiny + "llama_tied");
  REQUIRE(run.code == 0);
  auto const document = nlohmann::json::parse(run.out);
  CHECK(document.at("program") == "convert");
  CHECK(document.at("options").at("type") == "q8_0");
  CHECK(document.at("tensors") == 20);  // nine of each of two layers, embedding and norm
  CHECK(document.at("not_in_blocks").size() == 15);  // rows of 48 and 80
  CHECK(document.at("files") == std::vector<std::string>{"out.gguf"});
}

TEST_CASE(
    "programs: an adapter of the same model in another form is said, one of another model refused",
    "[examples][convert]") {
  auto const place = convert();
  auto adapter = lm::read_peft_adapter<float>(tiny + "llama_tied/adapter");
  lm::name_base(adapter, lm::model_file(tiny + "llama_tied"));
  lm::write_peft_adapter(place / "adapter", adapter);
  place.file("pairs.jsonl", R"({"prompt": "a", "chosen": " b", "rejected": " c"})"
                            "\n");
  REQUIRE(place.run("--quiet --output q8.gguf --type q8_0 --model " + tiny + "llama_tied").code ==
          0);
  std::string const score = "'" PREFER_EXAMPLE_SCORE "' --quiet --data pairs.jsonl --adapter ";
  std::string const said = "adapter was trained on another form of the same model than";
  auto const scored = [&](std::string const& with) {
    return place.shell(score + with + " >.scored 2>.err");
  };
  // Everywhere alike.
  auto const run = place.run("--quiet --adapter adapter --output out.gguf --model q8.gguf");
  CHECK(run.code == 0);
  CHECK_THAT(run.err, Contains("warning: " + said));
  CHECK(scored("adapter --model q8.gguf") == 0);
  CHECK_THAT(place.content(".err"), Contains("warning: " + said));
  CHECK(scored("adapter --model " + tiny + "llama_tied") == 0);
  CHECK_THAT(place.content(".err"), !Contains("warning"));

  *adapter.base_identity += 1;
  *adapter.base_vectors += 1;
  lm::write_peft_adapter(place / "other", adapter);
  place.check_refused("--adapter other --output other.gguf --model " + tiny + "llama_tied",
                      "it was trained on other weights", 1);
  CHECK(scored("other --model " + tiny + "llama_tied") == 1);
  CHECK_THAT(place.content(".err"), Contains("it was trained on other weights"));
  place.check_refused("--adapter adapter --output other.gguf --model " + tiny + "qwen3_norm",
                      "it is an adapter of another model", 1);
  CHECK_FALSE(place.has("other.gguf"));
}

TEST_CASE("convert: what is wrong with a model is a sentence, and earlier output stays",
          "[examples][convert]") {
  auto const place = convert();
  place.file("out.gguf", "earlier");
  auto const refused = [&](std::string const& model, std::string const& sentence) {
    place.check_refused("--output out.gguf --model " + model, sentence, 1);
    CHECK(place.content("out.gguf") == "earlier");
  };
  refused("nowhere", "there is no such file or folder");
  fs::create_directory(place / "empty");
  refused("empty", "there is no config.json in the folder");
  place.file("text.gguf", "not a model");
  refused("text.gguf", "does not begin with the letters GGUF");

  copy_model(place, "llama_tied");
  auto const weights = place.content("llama_tied/model.safetensors");
  auto const config = nlohmann::json::parse(place.content("llama_tied/config.json"));
  place.file("llama_tied/model.safetensors", weights.substr(0, weights.size() - 1));
  refused("llama_tied", "go past the end of the file");
  auto odd = weights;
  odd.replace(odd.size() - 4, 4, std::string("\x00\x00\xC0\x7F", 4));
  place.file("llama_tied/model.safetensors", odd);
  refused("llama_tied", "has NaN");
  place.file("llama_tied/model.safetensors", weights);

  struct change {
    std::string field;
    nlohmann::json value;
    std::string sentence;
  };
  for (auto const& [field, value, sentence] : std::vector<change>{
           {"model_type", "gemma2", "Gemma scales its embedding"},
           {"vocab_size", 381,
            "\"model.embed_tokens.weight\" has the shape [380, 48], expected "
            "[381, 48]"},
           {"num_hidden_layers", 3, "\"model.layers.2.input_layernorm.weight\" is missing"},
           {"num_hidden_layers", 1, "is of no model of the architecture llama"},
           {"num_hidden_layers", 2000000000, "is said to have 2000000000 layers"},
           {"tie_word_embeddings", false, "\"lm_head.weight\" is missing"}}) {
    auto changed = config;
    changed[field] = value;
    place.file("llama_tied/config.json", changed.dump());
    refused("llama_tied", sentence);
  }
  place.file("llama_tied/config.json", "{");
  refused("llama_tied", "is no JSON");
  place.file("llama_tied/config.json", config.dump());
  auto tokenizer = nlohmann::json::parse(place.content("llama_tied/tokenizer.json"));
  tokenizer["model"]["vocab"]["more"] = 380;
  place.file("llama_tied/tokenizer.json", tokenizer.dump());
  refused("llama_tied", "the tokenizer has 381 tokens, expected at most the 380 rows");
}

TEST_CASE("convert: an index that lies is refused", "[examples][convert]") {
  auto const place = convert();
  copy_model(place, "llama_tied");
  fs::rename(place / "llama_tied/model.safetensors", place / "llama_tied/part.safetensors");
  auto const refused = [&](std::string const& map, std::string const& sentence) {
    place.file("llama_tied/model.safetensors.index.json", "{\"weight_map\": " + map + "}");
    place.check_refused("--output out.gguf --model llama_tied", sentence, 1);
  };
  refused("3", "expected an object of tensors and their files");
  refused(R"({"model.norm.weight": "../part.safetensors"})", "expected the name of a file beside");
  refused(R"({"model.norm.weight": "gone.safetensors"})", "gone.safetensors");
  refused(R"({"model.norm.weight": "part.safetensors"})", "which the index says that it does not");
}

TEST_CASE("convert: a full disk is noticed before the work, and nothing is left behind",
          "[examples][convert]") {
  auto const place = convert();
  for (std::string const output : {"out.gguf", "out"}) {
    auto const run =
        place.run("--output " + output + " --model " + tiny + "llama_tied", "", "ulimit -f 100;");
    CHECK(run.code == 1);
    CHECK_THAT(run.err, Contains("File too large"));
    CHECK_FALSE(fs::is_regular_file(place / output));
    CHECK((!place.has("out") || fs::is_empty(place / "out")));
  }
}

TEST_CASE("convert: flags that do not fit together or mean nothing are refused",
          "[examples][convert]") {
  auto const place = convert();
  std::string const model = "--model " + tiny + "llama_tied";
  place.check_refused(model + " --output out --type q8_0", "a folder of safetensors, which has no",
                      2);
  place.check_refused(model + " --output out --type q4", "--type: found \"q4\"", 2);
  place.check_refused(model + " --output out --keep-apart", "--adapter", 2);
  place.check_refused(model + " --output out --shard 0", "--shard: found \"0\"", 2);
  place.check_refused(model + " --output out --outptu out", "did you mean --output?", 2);
  place.check_refused("--output out", "--model", 2);
}
