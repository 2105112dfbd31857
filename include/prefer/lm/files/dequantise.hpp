// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

#include <prefer/expects.hpp>
#include <prefer/lm/files/tensor_type.hpp>
#include <prefer/scalar/half.hpp>

namespace prefer::inline v0_1::lm {

namespace detail {

// Files align tensors, not what lies inside a block.
template <class N>
[[nodiscard]] N number_at(std::byte const* bytes) noexcept {
  N number;
  std::memcpy(&number, bytes, sizeof number);
  return number;
}
[[nodiscard]] inline float half_at(std::byte const* bytes) noexcept {
  return prefer::detail::float_of_half(number_at<std::uint16_t>(bytes));
}
[[nodiscard]] inline int low_half(std::byte byte) noexcept {
  return std::to_integer<int>(byte) & 15;
}
[[nodiscard]] inline int high_half(std::byte byte) noexcept {
  return std::to_integer<int>(byte) >> 4;
}

template <class Stored, class T>
void read_numbers(std::byte const* bytes, std::span<T> out) noexcept {
  if constexpr (std::is_same_v<Stored, T>) {
    if (!out.empty()) std::memcpy(out.data(), bytes, out.size_bytes());
  } else {
    for (std::size_t i = 0; i != out.size(); ++i) {
      out[i] = static_cast<T>(number_at<Stored>(bytes + i * sizeof(Stored)));
    }
  }
}

// One block each. Every product is exact in float but Q6_K's, and no sum rounds twice, so that a fused multiply-add gives
// the same number.

// value = scale * q, q in -128..127
template <class T>
void read_q8_0(std::byte const* block, T* out) noexcept {
  float const scale = half_at(block);
  auto const* const q = reinterpret_cast<signed char const*>(block + 2);
  for (std::size_t i = 0; i != 32; ++i) {
    out[i] = static_cast<T>(scale * static_cast<float>(q[i]));
  }
}

// value = scale * (q - 8), q in 0..15; the low halves of the bytes come before the high ones
template <class T>
void read_q4_0(std::byte const* block, T* out) noexcept {
  float const scale = half_at(block);
  std::byte const* const q = block + 2;
  for (std::size_t i = 0; i != 16; ++i) {
    out[i] = static_cast<T>(scale * static_cast<float>(low_half(q[i]) - 8));
    out[i + 16] = static_cast<T>(scale * static_cast<float>(high_half(q[i]) - 8));
  }
}

// value = scale * q + minimum
template <class T>
void read_q4_1(std::byte const* block, T* out) noexcept {
  float const scale = half_at(block);
  float const minimum = half_at(block + 2);
  std::byte const* const q = block + 4;
  for (std::size_t i = 0; i != 16; ++i) {
    out[i] = static_cast<T>(scale * static_cast<float>(low_half(q[i])) + minimum);
    out[i + 16] = static_cast<T>(scale * static_cast<float>(high_half(q[i])) + minimum);
  }
}

struct q4_k_scale {
  int scale, minimum;  // 0..63
};

// Scales and minima of eight groups in twelve bytes: of groups 0..3 the low six bits of bytes 0..3 and 4..7; of groups
// 4..7 a half of bytes 8..11 each, with the two bits on top of the former.
[[nodiscard]] inline q4_k_scale scale_of_q4_k(std::byte const* packed, std::size_t group) noexcept {
  auto const at = [&](std::size_t i) { return std::to_integer<int>(packed[i]); };
  if (group < 4) return {at(group) & 63, at(group + 4) & 63};
  return {(at(group + 4) & 15) | (at(group - 4) >> 6 << 4),
          (at(group + 4) >> 4) | (at(group) >> 6 << 4)};
}

// value = (scale * group's scale) * q - (minimum * group's minimum), eight groups of 32 values; two groups share 32 bytes.
template <class T>
void read_q4_k(std::byte const* block, T* out) noexcept {
  float const scale = half_at(block);
  float const minimum = half_at(block + 2);
  std::byte const* const packed = block + 4;
  std::byte const* q = block + 16;
  for (std::size_t group = 0; group != 8; group += 2, q += 32, out += 64) {
    auto const low = scale_of_q4_k(packed, group);
    auto const high = scale_of_q4_k(packed, group + 1);
    float const low_scale = scale * static_cast<float>(low.scale);
    float const low_minimum = minimum * static_cast<float>(low.minimum);
    float const high_scale = scale * static_cast<float>(high.scale);
    float const high_minimum = minimum * static_cast<float>(high.minimum);
    for (std::size_t i = 0; i != 32; ++i) {
      out[i] = static_cast<T>(low_scale * static_cast<float>(low_half(q[i])) - low_minimum);
      out[i + 32] = static_cast<T>(high_scale * static_cast<float>(high_half(q[i])) - high_minimum);
    }
  }
}

// value = (scale * group's scale) * (q - 32), q of 4 low and 2 high bits, sixteen groups of 16 values.
template <class T>
void read_q6_k(std::byte const* block, T* out) noexcept {
  std::byte const* low = block;
  std::byte const* high = block + 128;
  auto const* scales = reinterpret_cast<signed char const*>(block + 192);
  float const scale = half_at(block + 208);
  for (std::size_t part = 0; part != 2; ++part, low += 64, high += 32, scales += 8, out += 128) {
    for (std::size_t i = 0; i != 32; ++i) {
      int const bits = std::to_integer<int>(high[i]);
      int const q[4] = {
          low_half(low[i]) | (bits & 3) << 4, low_half(low[i + 32]) | (bits >> 2 & 3) << 4,
          high_half(low[i]) | (bits >> 4 & 3) << 4, high_half(low[i + 32]) | (bits >> 6) << 4};
      for (std::size_t k = 0; k != 4; ++k) {
        std::size_t const sixteen = i / 16 + 2 * k;
        out[i + 32 * k] = static_cast<T>(scale * static_cast<float>(scales[sixteen]) *
                                         static_cast<float>(q[k] - 32));
      }
    }
  }
}

template <class T, class ReadBlock>
void read_blocks(tensor_type type, std::byte const* bytes, std::span<T> out,
                 ReadBlock const& read_block) noexcept {
  std::size_t const values = block_values(type);
  std::size_t const size = block_bytes(type);
  for (std::size_t at = 0; at != out.size(); at += values, bytes += size) {
    read_block(bytes, out.data() + at);
  }
}

}  // namespace detail

/// The numbers of whole rows, or of whole blocks of them: out.size() is a multiple of block_values(type).
///
/// Blocks are read in float whatever T is, so that a model is the same numbers in float and in double.
///
/// Source  the layouts of llama.cpp's ggml-common.h; compared with the Python package gguf, to the bit
template <std::floating_point T>
void dequantise(tensor_type type, std::span<std::byte const> row, std::span<T> out) {
  namespace d = detail;
  expects(out.size() % block_values(type) == 0, "dequantise: the row is not of whole blocks");
  expects_size(row.size(), row_bytes(type, out.size()), "dequantise", "row");
  auto const* const bytes = row.data();
  switch (type) {
    case tensor_type::f64:
      return d::read_numbers<double>(bytes, out);
    case tensor_type::f32:
      return d::read_numbers<float>(bytes, out);
    case tensor_type::f16:
      return d::read_numbers<half>(bytes, out);
    case tensor_type::bf16:
      return d::read_numbers<bfloat16>(bytes, out);
    case tensor_type::q8_0:
      return d::read_blocks(type, bytes, out, [](auto b, T* to) { d::read_q8_0(b, to); });
    case tensor_type::q4_0:
      return d::read_blocks(type, bytes, out, [](auto b, T* to) { d::read_q4_0(b, to); });
    case tensor_type::q4_1:
      return d::read_blocks(type, bytes, out, [](auto b, T* to) { d::read_q4_1(b, to); });
    case tensor_type::q4_k:
      return d::read_blocks(type, bytes, out, [](auto b, T* to) { d::read_q4_k(b, to); });
    case tensor_type::q6_k:
      return d::read_blocks(type, bytes, out, [](auto b, T* to) { d::read_q6_k(b, to); });
  }
  refuse("dequantise: there is no such tensor type");
}

}  // namespace prefer::inline v0_1::lm
