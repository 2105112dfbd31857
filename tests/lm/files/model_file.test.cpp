// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <prefer/lm/files/finite.hpp>
#include <prefer/lm/files/model_file.hpp>
#include <prefer/lm/files/safetensors_model.hpp>
#include <support/temporary_folder.hpp>

namespace lm = prefer::lm;

namespace {

lm::model_file tiny(std::string const& name) {
  return lm::model_file(std::string(PREFER_GOLDEN_DIR) + "/lm_tiny/" + name);
}

// Asks for what leads into an object.
constexpr auto asks_metadata = [](auto&& of) -> decltype(static_cast<decltype(of)>(of).metadata()) {
  return static_cast<decltype(of)>(of).metadata();
};
constexpr auto asks_tensors = [](auto&& of) -> decltype(static_cast<decltype(of)>(of).tensors()) {
  return static_cast<decltype(of)>(of).tensors();
};
constexpr auto asks_found = [](auto&& of) -> decltype(static_cast<decltype(of)>(of).find("name")) {
  return static_cast<decltype(of)>(of).find("name");
};
constexpr auto asks_text = [](auto&& of) -> decltype(static_cast<decltype(of)>(of).text("key")) {
  return static_cast<decltype(of)>(of).text("key");
};
constexpr auto asks_bytes = [](auto&& of) -> decltype(static_cast<decltype(of)>(of).bytes()) {
  return static_cast<decltype(of)>(of).bytes();
};
constexpr auto asks_gguf = [](auto&& of) -> decltype(static_cast<decltype(of)>(of).gguf()) {
  return static_cast<decltype(of)>(of).gguf();
};
constexpr auto asks_values = [](auto&& of) -> decltype(static_cast<decltype(of)>(of).values()) {
  return static_cast<decltype(of)>(of).values();
};
constexpr auto asks_place = [](auto&& of) -> decltype(static_cast<decltype(of)>(of).at()) {
  return static_cast<decltype(of)>(of).at();
};
template <class Object, class... Questions>
constexpr bool only_of_what_stays(Questions...) {
  return (... && (std::is_invocable_v<Questions, Object const&> &&
                  !std::is_invocable_v<Questions, Object> &&
                  !std::is_invocable_v<Questions, Object const>));
}

}  // namespace

TEST_CASE("files: what leads into a file is not had of one that ends with the statement",
          "[lm][files]") {
  STATIC_REQUIRE(only_of_what_stays<lm::gguf_file>(asks_metadata, asks_tensors, asks_found,
                                                   asks_text, asks_place));
  STATIC_REQUIRE(only_of_what_stays<lm::safetensors_file>(asks_metadata, asks_tensors, asks_found,
                                                          asks_place));
  STATIC_REQUIRE(only_of_what_stays<lm::model_file>(asks_gguf, asks_place));
  STATIC_REQUIRE(only_of_what_stays<lm::memory_map>(asks_bytes));
  STATIC_REQUIRE(only_of_what_stays<lm::weight_matrix<float>>(asks_values));
  // A configuration is small, and is taken along.
  STATIC_REQUIRE(std::is_same_v<decltype(tiny("llama_tied").config()), lm::llama_config>);
}

TEST_CASE("model file: each tiny model has what its form of the family has", "[lm][files]") {
  auto const llama_tied = tiny("llama_tied").config();
  CHECK(llama_tied.tied_output);
  CHECK(llama_tied.heads == 2 * llama_tied.key_value_heads);
  CHECK_FALSE(llama_tied.rope_scaling.has_value());

  auto const llama_heads = tiny("llama_heads").config();
  CHECK(llama_heads.head_size * llama_heads.heads != llama_heads.width);
  CHECK(llama_heads.heads == llama_heads.key_value_heads);
  CHECK_FALSE(llama_heads.tied_output);

  auto const scaled = tiny("llama3_scaled").config();
  CHECK(scaled.rope_scaling == lm::llama3_rope{.factor = 8,
                                               .low_frequency_factor = 1,
                                               .high_frequency_factor = 4,
                                               .original_context = 32});
  CHECK(scaled.rope_theta == 500000);
  CHECK(scaled.norm_epsilon == 1e-5);

  CHECK(tiny("mistral_window").config().window == 8);
  CHECK(tiny("qwen2_bias").config().query_key_value_bias);
  CHECK_FALSE(tiny("qwen2_bias").config().query_key_norm);
  CHECK(tiny("qwen3_norm").config().query_key_norm);
  CHECK(tiny("qwen3_norm").config().head_size == 16);
}

TEST_CASE("model file: weights as values and as stored are the same numbers", "[lm][files]") {
  auto const file = tiny("llama_tied");
  auto const name = std::string("model.layers.1.mlp.down_proj.weight");
  auto const stored = file.matrix<double>(name, lm::weight_storage::as_stored);
  auto const values = file.matrix<double>(name, lm::weight_storage::values);
  REQUIRE(stored.rows() == 48);
  REQUIRE(stored.columns() == 80);
  CHECK_FALSE(stored.has_values());
  CHECK(stored.bytes_held() == 48 * 80 * 4);
  std::vector<double> rows(3 * 100);
  stored.read_rows(45, 3, rows.data(), 100);
  for (std::size_t i = 0; i != 3; ++i) {
    for (std::size_t j = 0; j != 80; ++j) {
      REQUIRE(rows[i * 100 + j] == values.values()[(45 + i) * 80 + j]);
    }
  }
}

TEST_CASE("model file: weights in bfloat16 are the numbers rounded to it", "[lm][files]") {
  auto const file = tiny("qwen2_bias");
  auto const name = std::string("model.layers.0.self_attn.o_proj.weight");
  auto const plain = file.matrix<float>(name, lm::weight_storage::values);
  auto const rounded = file.matrix<float>(name, lm::weight_storage::bf16);
  CHECK(rounded.type() == lm::tensor_type::bf16);
  CHECK(2 * rounded.bytes_held() == plain.bytes_held());
  std::vector<float> row(plain.columns());
  for (std::size_t r = 0; r != plain.rows(); ++r) {
    rounded.read_rows(r, 1, row.data(), row.size());
    for (std::size_t i = 0; i != row.size(); ++i) {
      REQUIRE(row[i] == static_cast<float>(prefer::bfloat16(plain.values()[r * row.size() + i])));
    }
  }
}

TEST_CASE("model file: numbers that are there are not copied, and outlive the file object",
          "[lm][files]") {
  auto const name = std::string("model.layers.0.mlp.gate_proj.weight");
  lm::weight_matrix<float> kept, copy;
  float first = 0;
  {
    auto const file = tiny("llama_tied");
    kept = file.matrix<float>(name, lm::weight_storage::values);
    copy = file.matrix<float>(name, lm::weight_storage::as_stored);
    first = kept.values()[0];
  }
  CHECK(kept.values().data() == copy.values().data());
  CHECK(kept.values()[0] == first);
}

namespace {

/// One number of a tensor, and no other, is another one.
struct one_number {
  using value_type = float;
  std::string name;
  std::size_t at;
  float number;

  bool touches(std::string_view tensor) const { return tensor == name; }
  bool unties() const { return false; }
  void apply(std::string_view tensor, std::size_t first_row, std::span<float> rows) const {
    if (tensor == name && first_row == 0) rows[at] = number;
  }
};

}  // namespace

TEST_CASE("model file: a number that is not finite is found, by tensor, row and column",
          "[lm][files]") {
  auto const start = tiny("llama_tied");
  lm::expect_finite(start);
  struct hostile {
    one_number change;
    std::string complaint;
  };
  for (auto const& [change, complaint] :
       {hostile{{"model.layers.1.mlp.up_proj.weight", 3 * 48 + 5, HUGE_VALF},
                "\"model.layers.1.mlp.up_proj.weight\" has an infinite number in row 3, column 5"},
        hostile{{"model.embed_tokens.weight", 0, std::nanf("")}, "has NaN in row 0, column 0"},
        hostile{{"model.norm.weight", 7, std::nanf("")}, "\"model.norm.weight\" has NaN at 7"}}) {
    temporary_folder const here;
    lm::write_safetensors_model(here / "odd", start, change, {});
    CHECK_THROWS_WITH(lm::expect_finite(lm::model_file(here / "odd")), Catch::Contains(complaint));
  }
}
