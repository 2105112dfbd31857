// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <prefer/lm/files/config_gguf.hpp>
#include <prefer/lm/files/gguf_model.hpp>
#include <support/message_of.hpp>
#include <support/temporary_folder.hpp>

namespace lm = prefer::lm;
using lm::tensor_type;
using prefer::test::message_of;

namespace {

lm::llama_config const small = [] {
  lm::llama_config config;
  config.architecture = "llama";
  config.vocabulary = 6;
  config.width = 8;
  config.layers = 1;
  config.heads = 2;
  config.key_value_heads = 1;
  config.head_size = 4;
  config.feed_forward = 3;
  config.context = 16;
  return config;
}();

/// What config_from_gguf says of a small model whose metadata are changed.
struct metadata {
  std::string architecture = "llama";
  std::vector<std::string> without = {};
  std::function<void(lm::gguf_writer&)> more = [](lm::gguf_writer&) {};
  std::vector<float> divisors = {};
};

lm::llama_config config_in(metadata const& given) {
  temporary_folder const folder;
  auto const whole = folder / "whole.gguf";
  {
    lm::gguf_writer file(whole);
    lm::detail::add_config(file, small);
    file.commit();
  }
  auto const path = folder / "changed.gguf";
  lm::gguf_writer file(path);
  file.add("general.architecture", given.architecture);
  lm::gguf_file const unchanged(whole);
  for (auto const& entry : unchanged.metadata()) {
    bool kept = true;
    for (auto const& each : given.without) kept = kept && entry.key != "llama." + each;
    if (kept) file.add(entry);
  }
  given.more(file);
  file.declare("token_embd.weight", tensor_type::f32, {6, 8});
  if (!given.divisors.empty()) {
    file.declare("rope_freqs.weight", tensor_type::f32, {given.divisors.size()});
  }
  std::vector<float> const embedding(6 * 8);
  file.write(std::as_bytes(std::span(embedding)));
  file.write(std::as_bytes(std::span(given.divisors)));
  file.commit();
  return lm::config_from_gguf(lm::gguf_file(path));
}

}  // namespace

TEST_CASE("config of gguf: metadata that were written are read", "[lm][files]") {
  auto config = small;
  config.tied_output = true;  // there is no output.weight
  CHECK(config_in({}) == config);
}

TEST_CASE("config of gguf: what is missing, contradicts or is not computed with is refused by key",
          "[lm][files]") {
  struct hostile {
    metadata given;
    std::string complaint;
  };
  auto const number = [](std::string const& key, std::uint32_t value) {
    return metadata{.without = {key},
                    .more = [=](lm::gguf_writer& file) { file.add("llama." + key, value); }};
  };
  auto const text = [](std::string const& key, std::string const& value) {
    return metadata{.more = [=](lm::gguf_writer& file) { file.add(key, value); }};
  };
  for (auto const& [given, expected] : std::vector<hostile>{
           {{.architecture = "gemma2"}, "Gemma scales its embedding"},
           {{.architecture = "qwen3moe"}, "it is a mixture of experts"},
           {{.architecture = "qwen2"}, "\"qwen2.embedding_length\" is missing"},
           {text("general.type", "adapter"), "is \"adapter\", expected a model"},
           {{.more = [](lm::gguf_writer& file) { file.add("split.count", std::uint32_t{3}); }},
            "is one of 3 files of a model"},
           {{.without = {"block_count"}}, "\"llama.block_count\" is missing"},
           {{.without = {"attention.layer_norm_rms_epsilon"}}, "rms_epsilon\" is missing"},
           {number("expert_count", 8), "is not 0: it is a mixture of experts"},
           {number("attention.head_count", 0), "the number of heads is 0"},
           {number("attention.head_count_kv", 3), "expected a divisor"},
           {number("attention.value_length", 6), "keys have 4 numbers and values 6"},
           {number("rope.dimension_count", 2), "of a head's 4 numbers 2 are rotated, expected all"},
           {number("rope.scaling.factor", 4), "divides all frequencies, expected 1"},
           {number("vocab_size", 7), "the embedding has 6 rows, the metadata say 7"},
           {text("llama.rope.scaling.type", "yarn"), "is \"yarn\", expected none"},
           {{.without = {"attention.head_count"},
           .more =
                 [](lm::gguf_writer& file) {
                   file.add("llama.attention.head_count", std::vector<std::int32_t>{2, 2});
                 }},
            "is an array, expected one number for all layers"},
           {{.more =
                 [](lm::gguf_writer& file) {
                   file.add("tokenizer.ggml.tokens", std::vector<std::string>{"a", "b"});
                 }},
            "and there are 2 tokens; expected the same number"},
           {{.divisors = {1, 2, 3}}, "has the shape [3], expected [2]"},
           {{.divisors = {2, 1}}, "that Llama 3's scaling does not give"}}) {
    INFO(expected);
    CHECK_THAT(message_of([&, given = given] { config_in(given); }), Catch::Contains(expected));
  }
}

TEST_CASE("config of gguf: divisors of frequencies are the scaling that gives them",
          "[lm][files]") {
  // Planes of 1 and 1/100 radians per token: 6 and 628 tokens a turn. Within 2048 tokens, a quarter of 8192, both are
  // fast; with 32 tokens of original context the second one is slow.
  CHECK(config_in({.divisors = {1, 1}}).rope_scaling->divisor(0.01) == 1);
  auto const slow = config_in({.divisors = {1, 8}});
  REQUIRE(slow.rope_scaling.has_value());
  CHECK(slow.rope_scaling->divisor(1.0) == 1);
  CHECK(slow.rope_scaling->divisor(0.01) == 8);
}

TEST_CASE("config of gguf: any scaling of Llama 3's form comes back from its divisors",
          "[lm][files]") {
  lm::llama_config config;
  for (std::size_t const head : {2u, 6u, 20u, 64u, 128u}) {
    for (double const theta : {100.0, 10000.0, 500000.0}) {
      for (double const factor : {2.0, 8.0, 32.0}) {
        for (double const low : {1.0, 1.5}) {
          for (double const high : {4.0, 7.5}) {
            for (double const context : {16.0, 100.0, 8192.0}) {
              config.head_size = head;
              config.rope_theta = theta;
              config.rope_scaling.reset();
              auto const frequencies = lm::rope_frequencies(config);
              lm::llama3_rope const given{.factor = factor,
                                          .low_frequency_factor = low,
                                          .high_frequency_factor = high,
                                          .original_context = context};
              std::vector<float> divisors;
              for (double const each : frequencies) {
                divisors.push_back(static_cast<float>(given.divisor(each)));
              }
              INFO(head << " " << theta << " " << factor << " " << low << " " << high << " "
                        << context);
              auto const found = lm::detail::scaling_of_divisors(frequencies, divisors, {});
              REQUIRE(found.has_value());
              for (std::size_t i = 0; i != frequencies.size(); ++i) {
                CHECK(found->divisor(frequencies[i]) == Approx(divisors[i]).epsilon(1e-4));
              }
            }
          }
        }
      }
    }
  }
}
