// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <prefer/lm/files/llama_config.hpp>

namespace prefer::inline v0_1::lm {

/// A tensor that a model of a configuration has, under Hugging Face's name and under GGUF's.
struct expected_tensor {
  std::string name;  // model.layers.0.self_attn.q_proj.weight
  std::string gguf;  // blk.0.attn_q.weight
  std::vector<std::size_t> shape;
  /// Heads whose rows GGUF keeps in another order where the architecture is llama: queries and keys. 0: none.
  std::size_t rotated_heads = 0;
};

namespace detail {

/// The head of a reward model, as transformers and scalar_head call it.
inline constexpr std::string_view name_of_head = "score.weight";

}  // namespace detail

namespace detail::layer_parts {

/// A linear map or vector of each layer: its name in Hugging Face's layer and in GGUF's block.
struct layer_part {
  std::string_view name, gguf;
};
inline constexpr layer_part input_norm = {"input_layernorm", "attn_norm"};
inline constexpr layer_part query = {"self_attn.q_proj", "attn_q"};
inline constexpr layer_part key = {"self_attn.k_proj", "attn_k"};
inline constexpr layer_part value = {"self_attn.v_proj", "attn_v"};
inline constexpr layer_part query_norm = {"self_attn.q_norm", "attn_q_norm"};
inline constexpr layer_part key_norm = {"self_attn.k_norm", "attn_k_norm"};
inline constexpr layer_part attention_output = {"self_attn.o_proj", "attn_output"};
inline constexpr layer_part feed_forward_norm = {"post_attention_layernorm", "ffn_norm"};
inline constexpr layer_part gate = {"mlp.gate_proj", "ffn_gate"};
inline constexpr layer_part up = {"mlp.up_proj", "ffn_up"};
inline constexpr layer_part down = {"mlp.down_proj", "ffn_down"};

}  // namespace detail::layer_parts

/// Every tensor of a model, in the order of its forward pass.
[[nodiscard]] inline std::vector<expected_tensor> expected_tensors(llama_config const& config) {
  namespace d = detail::layer_parts;
  std::size_t const queries = config.heads * config.head_size;
  std::size_t const keys = config.key_value_heads * config.head_size;
  std::vector<expected_tensor> all;
  all.push_back(
      {"model.embed_tokens.weight", "token_embd.weight", {config.vocabulary, config.width}});
  for (std::size_t layer = 0; layer != config.layers; ++layer) {
    std::string const name = "model.layers." + std::to_string(layer) + ".";
    std::string const gguf = "blk." + std::to_string(layer) + ".";
    auto const add = [&](d::layer_part part, std::vector<std::size_t> shape,
                         std::size_t rotated_heads = 0, std::string_view end = ".weight") {
      all.push_back({name + std::string(part.name) + std::string(end),
                     gguf + std::string(part.gguf) + std::string(end), std::move(shape),
                     rotated_heads});
    };
    add(d::input_norm, {config.width});
    add(d::query, {queries, config.width}, config.heads);
    add(d::key, {keys, config.width}, config.key_value_heads);
    add(d::value, {keys, config.width});
    if (config.query_key_value_bias) {
      add(d::query, {queries}, config.heads, ".bias");
      add(d::key, {keys}, config.key_value_heads, ".bias");
      add(d::value, {keys}, 0, ".bias");
    }
    if (config.query_key_norm) {
      add(d::query_norm, {config.head_size});
      add(d::key_norm, {config.head_size});
    }
    add(d::attention_output, {config.width, queries});
    add(d::feed_forward_norm, {config.width});
    add(d::gate, {config.feed_forward, config.width});
    add(d::up, {config.feed_forward, config.width});
    add(d::down, {config.width, config.feed_forward});
  }
  all.push_back({"model.norm.weight", "output_norm.weight", {config.width}});
  if (!config.tied_output) {
    all.push_back({"lm_head.weight", "output.weight", {config.vocabulary, config.width}});
  }
  return all;
}

/// Row of GGUF's order that holds row `row` of Hugging Face's, for queries and keys of the architecture llama: a plane's two
/// numbers are neighbours there, and half a head apart here.
[[nodiscard]] constexpr std::size_t interleaved_row(std::size_t row,
                                                    std::size_t head_size) noexcept {
  std::size_t const half = head_size / 2;
  std::size_t const in_head = row % head_size;
  return row - in_head + in_head % half * 2 + in_head / half;
}

}  // namespace prefer::inline v0_1::lm
