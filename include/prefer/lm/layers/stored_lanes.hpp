// SPDX-License-Identifier: MIT
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include <prefer/lm/arithmetic/lanes.hpp>
#include <prefer/lm/files/dequantise.hpp>
#include <prefer/scalar/half.hpp>

// Rows of weights as they are stored, read as lanes of numbers: the numbers that weight_matrix::read_rows gives.

namespace prefer::inline v0_1::lm::detail {

/// A row of blocks of Q8_0, where a type of numbers stands for what a row is made of.
struct q8_0_block;

// How far ahead of a row memory is asked for. A row's numbers come in one stream: of four rows at a time, as for a matrix, a
// core reads a quarter less a second.
inline constexpr std::size_t bytes_ahead = 4096;

#if PREFER_VECTOR_LANES
// Integers of a lane's width, extended to 32 bits. g++ 12 makes of a conversion of bytes one scalar move for each, so that
// it is given the instructions by name where it has them.
template <std::size_t W>
[[nodiscard]] inline prefer::detail::vector<std::int32_t, W> extend_bytes(std::byte const* from) {
  using prefer::detail::vector;
  vector<std::int32_t, W> out;
#if defined(__SSE2__) && !defined(__clang__)
  vector<char, 16> bytes{};
  std::memcpy(&bytes, from, W);
  if constexpr (W == 4) {
#if defined(__SSE4_1__)
    out = __builtin_ia32_pmovsxbd128(bytes);
#else
    auto const words = __builtin_ia32_punpcklbw128(vector<char, 16>{}, bytes);
    auto const upper =
        __builtin_ia32_punpcklwd128(vector<short, 8>{}, std::bit_cast<vector<short, 8>>(words));
    out = std::bit_cast<vector<std::int32_t, 4>>(upper) >> 24;
#endif
  }
#if defined(__AVX2__)
  if constexpr (W == 8) out = __builtin_ia32_pmovsxbd256(bytes);
#endif
#if defined(__AVX512F__)
  if constexpr (W == 16)
    out = __builtin_ia32_pmovsxbd512_mask(bytes, vector<std::int32_t, 16>{}, 0xffff);
#endif
#else
  vector<signed char, W> bytes;
  std::memcpy(&bytes, from, sizeof bytes);
  out = __builtin_convertvector(bytes, vector<std::int32_t, W>);
#endif
  return out;
}
template <std::size_t W>
[[nodiscard]] inline prefer::detail::vector<std::uint32_t, W> extend_words(std::byte const* from) {
  using prefer::detail::vector;
  vector<std::uint16_t, W> words;
  std::memcpy(&words, from, sizeof words);
#if defined(__AVX512F__) && !defined(__clang__)
  if constexpr (W == 16) {
    return std::bit_cast<vector<std::uint32_t, 16>>(__builtin_ia32_pmovzxwd512_mask(
        std::bit_cast<vector<short, 16>>(words), vector<std::int32_t, 16>{}, 0xffff));
  }
#endif
  return __builtin_convertvector(words, vector<std::uint32_t, W>);
}
#endif

/// Numbers that are held in `Stored`, as a lane.
template <class Stored, class T>
[[nodiscard]] inline lane<T> load_stored(std::byte const* from) {
  constexpr std::size_t width = lane<T>::width;
  if constexpr (std::is_same_v<Stored, T>) {
    lane<T> out;
    std::memcpy(&out.v, from, sizeof out.v);
    return out;
  } else {
#if PREFER_VECTOR_LANES
    if constexpr (std::is_same_v<T, float> && std::is_same_v<Stored, bfloat16>) {
      return lane<T>(
          std::bit_cast<prefer::detail::vector<T, width>>(extend_words<width>(from) << 16));
    } else if constexpr (std::is_same_v<T, float> && std::is_same_v<Stored, signed char>) {
      return lane<T>(
          __builtin_convertvector(extend_bytes<width>(from), prefer::detail::vector<T, width>));
    }
#endif
    Stored stored[width];
    std::memcpy(stored, from, sizeof stored);
    T numbers[width];
    for (std::size_t i = 0; i != width; ++i) numbers[i] = static_cast<T>(stored[i]);
    return lane<T>::load(numbers);
  }
}

/// The scale of a block, by the instruction where there is one.
[[nodiscard]] inline float scale_of_block(std::byte const* block) {
#if defined(__F16C__) && PREFER_VECTOR_LANES
  return __builtin_ia32_vcvtph2ps(prefer::detail::vector<short, 8>{number_at<short>(block)})[0];
#else
  return half_at(block);
#endif
}

/// f(first column, columns, their numbers) for each lane of a row; the numbers behind its last column are 0.
template <class Stored, class T, class F>
inline void for_each_stored_lane(std::byte const* row, std::size_t columns, F&& f) {
  constexpr std::size_t width = lane<T>::width;
  if constexpr (std::is_same_v<Stored, q8_0_block>) {
    // A scale for 32 signed bytes; the product is exact.
    for (std::size_t k = 0; k != columns; k += 32, row += 34) {
      __builtin_prefetch(row + bytes_ahead);
      lane<T> const scale = static_cast<double>(scale_of_block(row));
      [&]<std::size_t... I>(std::index_sequence<I...>) {
        (f(k + I * width, width, scale * load_stored<signed char, T>(row + 2 + I * width)), ...);
      }(std::make_index_sequence<32 / width>());
    }
  } else {
    std::size_t k = 0;
    for (; k + width <= columns; k += width) {
      std::byte const* const at = row + k * sizeof(Stored);
      __builtin_prefetch(at + bytes_ahead);
      f(k, width, load_stored<Stored, T>(at));
    }
    if (k == columns) return;
    std::byte last[width * sizeof(Stored)] = {};
    std::memcpy(last, row + k * sizeof(Stored), (columns - k) * sizeof(Stored));
    f(k, columns - k, load_stored<Stored, T>(last));
  }
}

}  // namespace prefer::inline v0_1::lm::detail
