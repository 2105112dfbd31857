// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/batch/token_sequences.hpp>
#include <prefer/lm/model/llama.hpp>
#include <prefer/lm/model/lora.hpp>
#include <prefer/policy/parameter.hpp>

// Both are compiled once for all tests of this folder.
extern template class prefer::lm::llama<double>;
extern template class prefer::lm::llama<float>;
extern template class prefer::lm::llama_base<double>;
extern template class prefer::lm::llama_base<float>;

namespace prefer::test {

using token_list = std::vector<std::uint32_t>;

/// Preference pairs and their texts.
struct token_pairs {
  token_sequences texts;
  choice_data data;

  void add(token_list const& prompt, token_list const& chosen, token_list const& rejected) {
    std::uint32_t const x = texts.prompts.add(prompt);
    std::uint32_t const good = texts.completions.add(chosen);
    data.add_pair(x, good, texts.completions.add(rejected));
    data.length.push_back(static_cast<float>(chosen.size()));
    data.length.push_back(static_cast<float>(rejected.size()));
  }
};

/// One of the folders of tests/golden/lm_tiny.
struct tiny_model {
  explicit tiny_model(std::string const& name);

  std::string folder;
  nlohmann::json golden;
  token_pairs pairs;

  template <class T>
  [[nodiscard]] std::shared_ptr<lm::llama_base<T> const> base() const {
    return std::make_shared<lm::llama_base<T> const>(lm::model_file(folder));
  }
};
inline constexpr char const* tiny_models[] = {"llama_tied",     "llama_heads", "llama3_scaled",
                                              "mistral_window", "qwen2_bias",  "qwen3_norm"};

/// An adapter of some maps of two layers, each with a rank and a scale of its own.
[[nodiscard]] inline lm::lora_options uneven_adapter() {
  lm::lora_options how;
  how.maps = {{"model.layers.0.self_attn.q_proj", 3, 0.5},
              {"model.layers.0.mlp.down_proj", 1, 2},
              {"model.layers.1.self_attn.q_proj", 5, 1.5},
              {"model.layers.1.self_attn.k_proj", 2, 0.25},
              {"model.layers.1.mlp.up_proj", 4, 3}};
  return how;
}

/// A random model that is smaller still: 2 layers of width 8 with everything that the family has, and every number drawn.
[[nodiscard]] lm::llama_config smallest_config();
template <class T>
[[nodiscard]] std::shared_ptr<lm::llama_base<T> const> random_base(lm::llama_config const& config,
                                                                   std::uint64_t seed);

}  // namespace prefer::test
