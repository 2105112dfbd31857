// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <string>

#include <prefer/lm/files/model_file.hpp>

namespace lm = prefer::lm;

namespace {

lm::model_file tiny(std::string const& name) {
  return lm::model_file(std::string(PREFER_GOLDEN_DIR) + "/lm_tiny/" + name);
}

}  // namespace

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
