// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <filesystem>
#include <string>

#include <prefer/lm/files/gguf_model.hpp>
#include <prefer/lm/files/safetensors_model.hpp>

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
