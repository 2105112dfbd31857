// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include <prefer/lm/files/gguf_model.hpp>
#include <prefer/lm/files/json_file.hpp>
#include <prefer/lm/files/safetensors_model.hpp>
#include <prefer/lm/files/safetensors_writer.hpp>

#include <support/temporary_folder.hpp>

#include "support.hpp"

namespace fs = std::filesystem;
using namespace files_test;
using lm::tensor_type;

namespace {

void without_tokenizer(lm::gguf_writer&) {}

}  // namespace

TEST_CASE("round trip: safetensors to GGUF and back is the same model, for every form of it",
          "[lm][files]") {
  for (std::string const name : tiny_models) {
    INFO(name);
    lm::model_file const start(tiny_path(name));
    temporary_folder const here;
    auto const gguf = here / "model.gguf";
    lm::write_gguf_model(gguf, start, lm::no_changes<float>{}, {}, without_tokenizer);
    lm::model_file const there(gguf);
    auto const folder = here / "folder";
    lm::write_safetensors_model(folder, there, lm::no_changes<float>{}, {});
    lm::model_file const back(folder);

    auto config = start.config();
    CHECK(back.config() == config);
    if (config.architecture == "mistral") config.architecture = "llama";  // GGUF's name for both
    if (config.rope_scaling) {
      // Many scalings give the divisors of six planes; what counts is that these are the same.
      auto const expected = lm::rope_frequencies(config);
      auto const found = lm::rope_frequencies(there.config());
      for (std::size_t i = 0; i != expected.size(); ++i) {
        CHECK(found[i] == Approx(expected[i]).epsilon(1e-6));
      }
    }
    CHECK(there.config() == config);
    CHECK(there.names() == start.names());
    for (auto const& tensor : start.names()) {
      INFO(tensor);
      CHECK(numbers<double>(there, tensor) == numbers<double>(start, tensor));
      CHECK(numbers<double>(back, tensor) == numbers<double>(start, tensor));
    }
  }
}

TEST_CASE("round trip: queries and keys lie interleaved in GGUF's llama and not in its qwen",
          "[lm][files]") {
  for (std::string const name : {"llama_heads", "qwen3_norm"}) {
    lm::model_file const start(tiny_path(name));
    temporary_folder const here;
    auto const path = here / "model.gguf";
    lm::write_gguf_model(path, start, lm::no_changes<float>{}, {}, without_tokenizer);
    lm::gguf_file const file(path);
    auto const& entry = *file.find("blk.0.attn_q.weight");
    std::vector<double> there(entry.shape[0] * entry.shape[1]);
    lm::dequantise<double>(entry.type, file.bytes(entry), there);
    auto const ours = numbers<double>(start, "model.layers.0.self_attn.q_proj.weight");
    // Row 1 of a head is the second number of its first plane there, half a head on here.
    std::size_t const row = name == "llama_heads" ? start.config().head_size / 2 : 1;
    std::size_t const columns = entry.shape[1];
    for (std::size_t i = 0; i != columns; ++i) {
      REQUIRE(there[columns + i] == ours[row * columns + i]);
    }
  }
}

TEST_CASE("round trip: a model in several files with an index is the model in one", "[lm][files]") {
  lm::model_file const start(tiny_path("llama_tied"));
  fs::remove_all("sharded");
  temporary_folder const here;
  auto const folder = here / "sharded";
  lm::write_safetensors_model(folder, start, lm::no_changes<float>{}, {}, lm::json::object(),
                              80'000);
  CHECK_FALSE(fs::exists(folder + "/model.safetensors"));
  CHECK(fs::exists(folder + "/model-00003-of-00003.safetensors"));
  lm::model_file const back(folder);
  for (auto const& tensor : start.names()) {
    INFO(tensor);
    CHECK(numbers<float>(back, tensor) == numbers<float>(start, tensor));
  }
  // One file in place of several, and several in place of one: readers take what was written last.
  lm::write_safetensors_model(folder, lm::model_file(tiny_path("llama_heads")),
                              lm::no_changes<float>{}, {});
  CHECK(lm::model_file(folder).config() == lm::model_file(tiny_path("llama_heads")).config());
  lm::write_safetensors_model(folder, start, lm::no_changes<float>{}, {}, lm::json::object(),
                              80'000);
  CHECK(lm::model_file(folder).config() == start.config());
}

TEST_CASE("round trip: a folder keeps the head of a reward model, and needs no output matrix then",
          "[lm][files][reward]") {
  lm::model_file const start(tiny_path("llama_heads"));  // whose output matrix is its own
  std::vector<float> const head(start.config().width, 0.25F);
  temporary_folder const here;
  for (std::size_t const shard_bytes : {std::size_t{1} << 30, std::size_t{80'000}}) {
    auto const folder = here / std::to_string(shard_bytes);
    lm::write_safetensors_model(folder, start, lm::no_changes<float>{}, {.head = head},
                                lm::json::object(), shard_bytes);
    lm::model_file const back(folder);
    REQUIRE(back.has_head());
    CHECK(back.head<float>() == head);
    CHECK(numbers<float>(back, "lm_head.weight") == numbers<float>(start, "lm_head.weight"));
    CHECK(back.identity() != start.identity());
    auto const config = lm::read_json_object("config", folder + "/config.json");
    CHECK(*prefer::data::find_field(config, "architectures") ==
          lm::json{"LlamaForSequenceClassification"});
    CHECK(*prefer::data::find_field(config, "id2label") == lm::json{{"0", "LABEL_0"}});
  }
  CHECK_FALSE(start.has_head());
  CHECK_THROWS_WITH(lm::write_gguf_model(here / "model.gguf", start, lm::no_changes<float>{},
                                         {.head = head}, without_tokenizer),
                    "write_gguf_model: GGUF has no place for a head");

  // As transformers writes one: without lm_head.weight.
  fs::create_directory(here / "theirs");
  fs::copy_file(here / std::to_string(std::size_t{1} << 30) + "/config.json",
                here / "theirs/config.json");
  lm::safetensors_writer file(here / "theirs/model.safetensors");
  for (auto const& name : start.names()) {
    if (name != "lm_head.weight") file.declare(name, tensor_type::f32, start.shape(name));
  }
  file.declare("score.weight", tensor_type::f32, {1, head.size()});
  for (auto const& name : start.names()) {
    auto const values = numbers<float>(start, name);
    if (name != "lm_head.weight") file.write(std::as_bytes(std::span(values)));
  }
  file.write(std::as_bytes(std::span(head)));
  file.commit();
  lm::model_file const theirs(here / "theirs");
  CHECK(theirs.head<float>() == head);
  CHECK_FALSE(theirs.has("lm_head.weight"));
}

TEST_CASE("round trip: the identity of a model is of its numbers and what they mean",
          "[lm][files]") {
  lm::model_file const start(tiny_path("llama_tied"));
  CHECK(start.identity() == lm::model_file(tiny_path("llama_tied")).identity());
  CHECK(start.identity() != lm::model_file(tiny_path("llama_heads")).identity());
  temporary_folder const here;
  lm::write_safetensors_model(here / "other", start, lm::no_changes<float>{}, {},
                              {{"rope_theta", 20000.0}, {"rope_parameters", nullptr}});
  CHECK(start.identity() != lm::model_file(here / "other").identity());
}

TEST_CASE("round trip: matrices that are no whole blocks of Q8_0 are F16, and named",
          "[lm][files]") {
  lm::model_file const start(tiny_path("llama_tied"));
  temporary_folder const here;
  auto const written = lm::write_gguf_model(here / "model.gguf", start, lm::no_changes<float>{},
                                            {.matrices = tensor_type::q8_0}, without_tokenizer);
  // Rows of 48 and 80 numbers: all seven linear maps of two layers, and the embedding.
  CHECK(written.not_in_blocks.size() == 15);
  lm::model_file const back(here / "model.gguf");
  auto const name = std::string("model.layers.0.mlp.up_proj.weight");
  CHECK(back.type(name) == tensor_type::f16);
  CHECK(back.type("model.norm.weight") == tensor_type::f32);
  auto const expected = numbers<float>(start, name);
  auto const found = numbers<float>(back, name);
  for (std::size_t i = 0; i != found.size(); ++i) {
    REQUIRE(found[i] == static_cast<float>(prefer::half(expected[i])));
  }
}
