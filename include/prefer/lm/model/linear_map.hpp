// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include <prefer/lm/files/llama_config.hpp>

namespace prefer::inline v0_1::lm {

/// The linear maps of a layer, in the order in which a layer uses them.
enum class linear_map : unsigned char { query, key, value, output, gate, up, down };

inline constexpr std::size_t linear_maps = 7;
inline constexpr std::array<linear_map, linear_maps> every_linear_map = {
    linear_map::query, linear_map::key, linear_map::value, linear_map::output,
    linear_map::gate,  linear_map::up,  linear_map::down};

/// As Hugging Face names it within a layer: "self_attn.q_proj".
[[nodiscard]] constexpr std::string_view name_of(linear_map map) {
  constexpr std::array<std::string_view, linear_maps> names = {
      "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
      "mlp.gate_proj",    "mlp.up_proj",      "mlp.down_proj"};
  return names[static_cast<std::size_t>(map)];
}
/// Without what it is a part of, as adapters name their targets: "q_proj".
[[nodiscard]] constexpr std::string_view short_name_of(linear_map map) {
  return name_of(map).substr(name_of(map).find('.') + 1);
}
/// "model.layers.3.self_attn.q_proj": the matrix is this with ".weight", and a bias with ".bias".
[[nodiscard]] inline std::string name_of(std::size_t layer, linear_map map) {
  return "model.layers." + std::to_string(layer) + "." + std::string(name_of(map));
}

/// How many numbers a linear map gives, and takes: the rows and columns of its matrix.
struct map_shape {
  std::size_t out = 0;
  std::size_t in = 0;
};
[[nodiscard]] inline map_shape shape_of(llama_config const& of, linear_map map) {
  std::size_t const queries = of.heads * of.head_size;
  std::size_t const keys = of.key_value_heads * of.head_size;
  switch (map) {
    case linear_map::query:
      return {queries, of.width};
    case linear_map::key:
    case linear_map::value:
      return {keys, of.width};
    case linear_map::output:
      return {of.width, queries};
    case linear_map::gate:
    case linear_map::up:
      return {of.feed_forward, of.width};
    case linear_map::down:
      break;
  }
  return {of.width, of.feed_forward};
}

}  // namespace prefer::inline v0_1::lm
