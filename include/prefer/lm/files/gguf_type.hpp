// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include <prefer/lm/files/tensor_type.hpp>

namespace prefer::inline v0_1::lm {

/// Types of GGUF's metadata, by their numbers in the file.
enum class gguf_type : std::uint32_t {
  uint8,
  int8,
  uint16,
  int16,
  uint32,
  int32,
  float32,
  boolean,
  text,
  array,
  uint64,
  int64,
  float64
};
inline constexpr std::uint32_t gguf_types = 13;

[[nodiscard]] constexpr std::string_view spelling(gguf_type type) noexcept {
  constexpr std::array<std::string_view, gguf_types> names = {
      "uint8",   "int8", "uint16", "int16",  "uint32", "int32",  "float32",
      "boolean", "text", "array",  "uint64", "int64",  "float64"};
  return names[static_cast<std::size_t>(type)];
}

/// Bytes of a value; 0 for texts and arrays, which say their own.
[[nodiscard]] constexpr std::size_t value_bytes(gguf_type type) noexcept {
  constexpr std::array<std::size_t, gguf_types> bytes = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  return bytes[static_cast<std::size_t>(type)];
}

namespace detail {

struct gguf_tensor_type {
  std::uint32_t number;
  tensor_type type;
};
inline constexpr std::array<gguf_tensor_type, 9> gguf_tensor_types = {{{0, tensor_type::f32},
                                                                       {1, tensor_type::f16},
                                                                       {2, tensor_type::q4_0},
                                                                       {3, tensor_type::q4_1},
                                                                       {8, tensor_type::q8_0},
                                                                       {12, tensor_type::q4_k},
                                                                       {14, tensor_type::q6_k},
                                                                       {28, tensor_type::f64},
                                                                       {30, tensor_type::bf16}}};

struct gguf_foreign_type {
  std::uint32_t number;
  std::string_view name;
};
// Named where they are refused.
inline constexpr std::array<gguf_foreign_type, 22> gguf_foreign_types = {
    {{6, "Q5_0"},   {7, "Q5_1"},     {9, "Q8_1"},    {10, "Q2_K"},    {11, "Q3_K"},  {13, "Q5_K"},
     {15, "Q8_K"},  {16, "IQ2_XXS"}, {17, "IQ2_XS"}, {18, "IQ3_XXS"}, {19, "IQ1_S"}, {20, "IQ4_NL"},
     {21, "IQ3_S"}, {22, "IQ2_S"},   {23, "IQ4_XS"}, {24, "I8"},      {25, "I16"},   {26, "I32"},
     {27, "I64"},   {29, "IQ1_M"},   {34, "TQ1_0"},  {39, "MXFP4"}}};

[[nodiscard]] constexpr std::optional<tensor_type> tensor_type_of_gguf(std::uint32_t number) {
  for (auto const& each : gguf_tensor_types) {
    if (each.number == number) return each.type;
  }
  return std::nullopt;
}
[[nodiscard]] constexpr std::uint32_t gguf_number_of(tensor_type type) {
  for (auto const& each : gguf_tensor_types) {
    if (each.type == type) return each.number;
  }
  return 0;
}

}  // namespace detail

}  // namespace prefer::inline v0_1::lm
