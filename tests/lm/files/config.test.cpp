// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <string>
#include <vector>

#include <prefer/lm/files/config_json.hpp>
#include <support/message_of.hpp>

namespace lm = prefer::lm;
using lm::json;
using prefer::test::message_of;

namespace {

json smallest(std::string const& type) {
  return {{"model_type", type},       {"vocab_size", 32},
          {"hidden_size", 16},        {"num_hidden_layers", 4},
          {"num_attention_heads", 4}, {"num_key_value_heads", 2},
          {"intermediate_size", 24},  {"max_position_embeddings", 64}};
}
lm::llama_config read(json const& fields) {
  return lm::config_from_json({{"config", "config.json", 0}, fields});
}
/// The smallest one of a type with one field more.
lm::llama_config with(std::string const& type, std::string const& field, json const& value) {
  auto fields = smallest(type);
  fields[field] = value;
  return read(fields);
}

json const llama3 = {{"rope_type", "llama3"},
                     {"factor", 8.0},
                     {"low_freq_factor", 1.0},
                     {"high_freq_factor", 4.0},
                     {"original_max_position_embeddings", 8192}};

}  // namespace

TEST_CASE("config: what a file leaves out is what transformers takes for it", "[lm][files]") {
  auto const config = read(smallest("llama"));
  CHECK(config.head_size == 4);
  CHECK(config.rope_theta == 10000);
  CHECK(config.norm_epsilon == 1e-6);
  CHECK_FALSE(config.tied_output);
  CHECK(config.window == 0);
  auto fields = smallest("llama");
  fields.erase("num_key_value_heads");
  CHECK(read(fields).key_value_heads == 4);
  CHECK(with("llama", "head_dim", 6).head_size == 6);
}

TEST_CASE("config: rotations in both of its forms are the same", "[lm][files]") {
  auto before = smallest("llama");
  before["rope_theta"] = 500000.0;
  before["rope_scaling"] = llama3;
  auto since = smallest("llama");
  since["rope_parameters"] = llama3;
  since["rope_parameters"]["rope_theta"] = 500000.0;
  CHECK(read(before) == read(since));
  CHECK(read(before).rope_theta == 500000);
  CHECK(read(before).rope_scaling->factor == 8);
  before["rope_parameters"] = since["rope_parameters"];
  CHECK(read(before) == read(since));
  before["rope_theta"] = 10000.0;
  CHECK_THROWS_WITH(read(before), Catch::Contains("contradicts"));
}

TEST_CASE("config: the base of rotations may stand in either object, and none is for some layers",
          "[lm][files]") {
  for (char const* const name : {"rope_scaling", "rope_parameters"}) {
    INFO(name);
    auto scaled = llama3;
    scaled["rope_theta"] = 500000.0;
    auto const config = with("llama", name, scaled);
    CHECK(config.rope_theta == 500000);
    CHECK(config.rope_scaling.has_value());
    auto fields = smallest("llama");
    fields[name] = {{"full_attention", {{"rope_type", "default"}, {"rope_theta", 50.0}}}};
    CHECK_THAT(message_of([&] { read(fields); }), Catch::Contains("has rotations of its own for"));
    fields[name] = scaled;
    fields["rope_theta"] = 10000.0;
    CHECK_THAT(message_of([&] { read(fields); }), Catch::Contains("contradicts the one in"));
    fields["rope_theta"] = 500000.0;
    fields[name]["partial_rotary_factor"] = 0.5;
    CHECK_THAT(message_of([&] { read(fields); }), Catch::Contains("whole heads are rotated"));
  }
}

TEST_CASE("config: a window that a file leaves out is that of transformers", "[lm][files]") {
  CHECK(read(smallest("mistral")).window == 4096);
  CHECK(with("mistral", "sliding_window", nullptr).window == 0);
  CHECK(read(smallest("qwen2")).window == 0);
  // Of 28 layers none has a window unless the file says below which layer there is none.
  auto fields = smallest("qwen3");
  fields["use_sliding_window"] = true;
  CHECK(read(fields).window == 0);
  fields["max_window_layers"] = 0;
  CHECK(read(fields).window == 4096);
  // Kinds of layers are Qwen's; in the others transformers does not look at them.
  for (char const* const type : {"llama", "mistral"}) {
    fields = smallest(type);
    fields["sliding_window"] = 8;
    bool const slides = fields["model_type"] == "mistral";
    fields["layer_types"] = json::array();
    for (int i = 0; i != 4; ++i) {
      fields["layer_types"].push_back(slides ? "full_attention" : "sliding_attention");
    }
    CHECK_THAT(message_of([&] { read(fields); }), Catch::Contains("layer_types"));
  }
}

TEST_CASE("config: the scaling of Llama 3 divides slow planes by its factor, fast ones by 1",
          "[lm][files]") {
  lm::llama3_rope const scaling{};
  double const pi = std::acos(-1.0);
  CHECK(scaling.divisor(2 * pi / 2000) == 1);  // 2000 < 8192 / 4 tokens a turn
  CHECK(scaling.divisor(2 * pi / 8200) == 8);  // 8200 > 8192 / 1
  // 4096 tokens a turn: (8192 / 4096 - 1) / (4 - 1) = 1/3 of the way, so 1 / (2/3 / 8 + 1/3) = 12/5
  CHECK(scaling.divisor(2 * pi / 4096) == Approx(2.4));
}

TEST_CASE("config: the window is Mistral's, Qwen's where it is used, and of all layers or none",
          "[lm][files]") {
  CHECK(with("mistral", "sliding_window", 8).window == 8);
  CHECK(with("mistral", "sliding_window", nullptr).window == 0);
  CHECK(with("llama", "sliding_window", 8).window == 0);
  CHECK(with("qwen2", "sliding_window", 8).window == 0);
  auto used = smallest("qwen2");
  used["sliding_window"] = 8;
  used["use_sliding_window"] = true;
  used["max_window_layers"] = 0;
  CHECK(read(used).window == 8);
  used["max_window_layers"] = 3;
  CHECK_THROWS_WITH(read(used), Catch::Contains("holds for 1 of 4 layers"));
  used["layer_types"] = {"full_attention", "full_attention", "full_attention", "full_attention"};
  CHECK(read(used).window == 0);
  used["layer_types"] = {"chunked_attention"};
  CHECK_THROWS_WITH(read(used), Catch::Contains("expected full_attention or sliding_attention"));
}

TEST_CASE("config: what is not of the family is refused by name, with the reason", "[lm][files]") {
  struct foreign {
    std::string type, reason;
  };
  for (auto const& [type, reason] :
       {foreign{"gemma2", "Gemma scales its embedding"}, foreign{"mixtral", "mixture of experts"},
        foreign{"qwen3_moe", "mixture of experts"}, foreign{"phi3", "one matrix each"},
        foreign{"gpt2", "GPT has layer norms"}, foreign{"unheard_of", "expected one of llama"}}) {
    auto const said = message_of([&, type = type] { read(smallest(type)); });
    INFO(said);
    CHECK_THAT(said, Catch::Contains("architecture \"" + type + "\""));
    CHECK_THAT(said, Catch::Contains(reason));
    CHECK_THAT(said, Catch::Contains("expected one of llama, mistral, qwen2, qwen3"));
  }
}

TEST_CASE("config: what a model of the family is not computed with here is refused by its field",
          "[lm][files]") {
  struct field {
    std::string name;
    json value;
    std::string complaint;
  };
  auto yarn = llama3;
  yarn["rope_type"] = "yarn";
  auto falling = llama3;
  falling["high_freq_factor"] = 0.5;
  for (auto const& [name, value, expected] : std::vector<field>{
           {"hidden_act", "gelu", "found \"gelu\"; expected silu"},
           {"attention_bias", true, "with o_proj among them"},
           {"mlp_bias", true, "its feed-forward part has biases"},
           {"quantization_config", {{"quant_method", "gptq"}}, "packed in a way"},
           {"rope_scaling", yarn, "found \"yarn\""},
           {"rope_scaling", falling, "two positive ones that grow"},
           {"rope_scaling", 3, "expected an object"},
           {"rope_parameters", {{"partial_rotary_factor", 0.5}}, "whole heads are rotated"},
           {"partial_rotary_factor", 0.25, "whole heads are rotated"},
           {"num_attention_heads", 3, "expected a divisor"},
           {"num_attention_heads", 0, "the number of heads is 0"},
           {"num_attention_heads", -4, "expected a whole number that is not negative"},
           {"num_attention_heads", "4", "found the string \"4\""},
           {"head_dim", 5, "expected an even number"},
           {"hidden_size", 1e300, "expected a whole number"},
           {"num_hidden_layers", std::uint64_t{1} << 40, "expected 1 to 2147483648"},
           {"rms_norm_eps", -1.0, "epsilon"},
           {"rope_theta", 0.0, "the base of its rotations"},
           {"tie_word_embeddings", "yes", "expected true or false"},
           {"layer_types", json::array({"full_attention"}), "expected one for each of 4 layers"}}) {
    INFO(expected);
    CHECK_THROWS_WITH(with("llama", name, value), Catch::Contains(expected));
  }
  auto without = smallest("llama");
  without.erase("hidden_size");
  without["hiden_size"] = 16;
  CHECK_THROWS_WITH(read(without), Catch::Contains("field \"hidden_size\" is missing") &&
                                       Catch::Contains("is \"hiden_size\" a misspelling of it?"));
}
