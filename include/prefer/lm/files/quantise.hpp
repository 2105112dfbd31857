// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>

#include <prefer/expects.hpp>
#include <prefer/lm/files/tensor_type.hpp>
#include <prefer/scalar/half.hpp>

namespace prefer::inline v0_1::lm {

/// True for the types that `quantise` writes: plain numbers and Q8_0.
[[nodiscard]] constexpr bool can_quantise(tensor_type type) noexcept {
  return block_values(type) == 1 || type == tensor_type::q8_0;
}

namespace detail {

template <class Stored, class T>
void write_numbers(std::span<T const> values, std::byte* to) noexcept {
  for (std::size_t i = 0; i != values.size(); ++i) {
    auto const stored = static_cast<Stored>(values[i]);
    std::memcpy(to + i * sizeof stored, &stored, sizeof stored);
  }
}

// scale = largest magnitude / 127, q = value / scale, rounded half away from zero; of a block with a number that is not
// finite the scale is NaN, and so is whatever is read back.
template <class T>
void write_q8_0(T const* values, std::byte* block) noexcept {
  float largest = 0;
  bool finite = true;
  for (std::size_t i = 0; i != 32; ++i) {
    auto const value = static_cast<float>(values[i]);
    finite = finite && std::isfinite(value);
    largest = std::fmax(largest, std::fabs(value));
  }
  float const scale = finite ? largest / 127 : std::numeric_limits<float>::quiet_NaN();
  // By the scale before it is rounded to 16 bits, as llama.cpp does.
  float const per_value = finite && scale != 0 ? 1 / scale : 0;
  auto const stored = half(scale);
  std::memcpy(block, &stored, sizeof stored);
  for (std::size_t i = 0; i != 32; ++i) {
    float const q = finite ? std::round(static_cast<float>(values[i]) * per_value) : 0;
    block[2 + i] = static_cast<std::byte>(static_cast<signed char>(q));
  }
}

}  // namespace detail

/// Writes the numbers of whole rows in another type: rounded to the nearest of float, half or bfloat16, or in blocks of
/// Q8_0, whose values are off by at most half of 1/127 of the block's largest, and by the rounding of the scale to 11
/// bits.
///
/// Errors  precondition_error for the types that are only read
template <std::floating_point T>
void quantise(tensor_type type, std::span<T const> values, std::span<std::byte> out) {
  namespace d = detail;
  expects(can_quantise(type), "quantise: writes plain numbers and Q8_0, other types are only read");
  expects(values.size() % block_values(type) == 0, "quantise: the row is not of whole blocks");
  expects_size(out.size(), row_bytes(type, values.size()), "quantise", "out");
  switch (type) {
    case tensor_type::f64:
      return d::write_numbers<double>(values, out.data());
    case tensor_type::f32:
      return d::write_numbers<float>(values, out.data());
    case tensor_type::f16:
      return d::write_numbers<half>(values, out.data());
    case tensor_type::bf16:
      return d::write_numbers<bfloat16>(values, out.data());
    default:
      for (std::size_t at = 0, block = 0; at != values.size(); at += 32, ++block) {
        d::write_q8_0(values.data() + at, out.data() + block * block_bytes(type));
      }
  }
}

}  // namespace prefer::inline v0_1::lm
