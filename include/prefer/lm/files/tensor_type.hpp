// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include <prefer/dialect.hpp>

namespace prefer::inline v0_1::lm {

/// How a file holds the numbers of a tensor. The last five are GGUF's blocks: a few values that share scales.
enum class tensor_type : std::uint32_t { f64, f32, f16, bf16, q8_0, q4_0, q4_1, q4_k, q6_k };

/// As both file formats write it.
[[nodiscard]] constexpr std::string_view spelling(tensor_type type) noexcept {
  switch (type) {
    case tensor_type::f64:
      return "F64";
    case tensor_type::f32:
      return "F32";
    case tensor_type::f16:
      return "F16";
    case tensor_type::bf16:
      return "BF16";
    case tensor_type::q8_0:
      return "Q8_0";
    case tensor_type::q4_0:
      return "Q4_0";
    case tensor_type::q4_1:
      return "Q4_1";
    case tensor_type::q4_k:
      return "Q4_K";
    case tensor_type::q6_k:
      return "Q6_K";
  }
  return "unknown";
}

/// Values that share a block; 1 for plain numbers.
[[nodiscard]] constexpr std::size_t block_values(tensor_type type) noexcept {
  switch (type) {
    case tensor_type::q8_0:
    case tensor_type::q4_0:
    case tensor_type::q4_1:
      return 32;
    case tensor_type::q4_k:
    case tensor_type::q6_k:
      return 256;
    default:
      return 1;
  }
}

[[nodiscard]] constexpr std::size_t block_bytes(tensor_type type) noexcept {
  switch (type) {
    case tensor_type::f64:
      return 8;
    case tensor_type::f32:
      return 4;
    case tensor_type::f16:
    case tensor_type::bf16:
      return 2;
    case tensor_type::q8_0:  // scale, 32 signed bytes
      return 2 + 32;
    case tensor_type::q4_0:  // scale, 32 halves of a byte
      return 2 + 16;
    case tensor_type::q4_1:  // scale, minimum, 32 halves of a byte
      return 2 + 2 + 16;
    case tensor_type::
        q4_k:  // scale and minimum of 8 scales and minima of 6 bits, 256 halves of a byte
      return 2 + 2 + 12 + 128;
    case tensor_type::q6_k:  // 4 low bits, 2 high bits, 16 scales, scale of those
      return 128 + 64 + 16 + 2;
  }
  return 0;
}

/// Bytes of a row of `columns` values, which are whole blocks.
[[nodiscard]] constexpr std::size_t row_bytes(tensor_type type, std::size_t columns) noexcept {
  return columns / block_values(type) * block_bytes(type);
}

}  // namespace prefer::inline v0_1::lm
