// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/lm/files/llama_config.hpp>
#include <prefer/lm/files/weight_matrix.hpp>
#include <prefer/lm/model/linear_map.hpp>

namespace prefer::inline v0_1::lm {

/// What a layer computes with. A vector that the architecture lacks is empty.
template <std::floating_point T>
struct llama_layer {
  std::array<weight_matrix<T>, linear_maps> maps;
  std::array<std::span<T const>, linear_maps> biases;
  std::span<T const> input_norm;
  std::span<T const> query_norm;
  std::span<T const> key_norm;
  std::span<T const> feed_forward_norm;

  [[nodiscard]] weight_matrix<T> const& matrix(linear_map map) const {
    return maps[static_cast<std::size_t>(map)];
  }
  [[nodiscard]] std::span<T const> bias(linear_map map) const {
    return biases[static_cast<std::size_t>(map)];
  }
};

/// All tensors of a model of the Llama family, as views of memory that somebody keeps.
template <std::floating_point T>
struct llama_weights {
  llama_config config;
  weight_matrix<T> embedding;  ///< [vocabulary, width]
  weight_matrix<T> output;     ///< the same; that of the embedding where the two are tied
  std::span<T const> norm;     ///< of the last layer's rows
  std::vector<llama_layer<T>> layers;
};

/// Where gradients of those tensors are added, in the same places; null where nobody asks.
template <std::floating_point T>
struct llama_gradients {
  struct layer {
    std::array<T*, linear_maps> maps{};
    std::array<std::span<T>, linear_maps> biases;
    std::span<T> input_norm;
    std::span<T> query_norm;
    std::span<T> key_norm;
    std::span<T> feed_forward_norm;
  };

  T* embedding = nullptr;
  T* output = nullptr;  ///< that of the embedding where the two are tied
  std::span<T> norm;
  std::vector<layer> layers;

  [[nodiscard]] bool empty() const { return embedding == nullptr; }
};

/// Whether a linear map of such a model adds a vector.
[[nodiscard]] inline bool has_bias(llama_config const& of, linear_map map) {
  return of.query_key_value_bias &&
         (map == linear_map::query || map == linear_map::key || map == linear_map::value);
}

/// visit(name, map_shape, member) for every matrix and visit(name, size, member) for every vector of llama_weights or of
/// llama_gradients, in one order; a tied output matrix is no tensor of its own.
void describe_tensors(llama_config const& of, auto& self, auto&& visit) {
  map_shape const table{of.vocabulary, of.width};
  visit(std::string("model.embed_tokens.weight"), table, self.embedding);
  for (std::size_t l = 0; l != of.layers; ++l) {
    auto& layer = self.layers[l];
    std::string const prefix = "model.layers." + std::to_string(l) + ".";
    visit(prefix + "input_layernorm.weight", of.width, layer.input_norm);
    for (linear_map const map : every_linear_map) {
      auto const at = static_cast<std::size_t>(map);
      visit(name_of(l, map) + ".weight", shape_of(of, map), layer.maps[at]);
      if (has_bias(of, map)) {
        visit(name_of(l, map) + ".bias", shape_of(of, map).out, layer.biases[at]);
      }
      if (map != linear_map::output) continue;
      if (of.query_key_norm) {
        visit(prefix + "self_attn.q_norm.weight", of.head_size, layer.query_norm);
        visit(prefix + "self_attn.k_norm.weight", of.head_size, layer.key_norm);
      }
      visit(prefix + "post_attention_layernorm.weight", of.width, layer.feed_forward_norm);
    }
  }
  visit(std::string("model.norm.weight"), of.width, self.norm);
  if (!of.tied_output) visit(std::string("lm_head.weight"), table, self.output);
}

}  // namespace prefer::inline v0_1::lm
