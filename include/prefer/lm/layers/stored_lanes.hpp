// SPDX-License-Identifier: MIT
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>
#include <vector>

#include <prefer/lm/arithmetic/lanes.hpp>
#include <prefer/lm/files/dequantise.hpp>
#include <prefer/scalar/half.hpp>

// Rows of weights as they are stored, read as lanes of numbers: the numbers that weight_matrix::read_rows gives.

namespace prefer::inline v0_1::lm::detail {

/// A row of blocks of Q8_0, where a type of numbers stands for what a row is made of.
struct q8_0_block;

// How far ahead of what is read memory is asked for: for the second-level cache, which waits for more lines at once than
// the first, and near by for the first.
inline constexpr std::size_t far_ahead = 16384;
inline constexpr std::size_t near_ahead = 2048;

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

/// Every half as a float, in the order of bits. A scale that is read here is spread over a lane on its way from memory; to
/// convert it first takes half as many shuffles and multiplications as its block does.
[[nodiscard]] inline float const* floats_of_halves() {
  static auto const all = [] {
    std::vector<float> out(std::size_t{1} << 16);
    for (std::size_t bits = 0; bits != out.size(); ++bits) {
      out[bits] = prefer::detail::float_of_half(static_cast<std::uint16_t>(bits));
    }
    return out;
  }();
  return all.data();
}

/// f(first column, columns, the numbers of row R...) for each lane of the rows R..., which follow each other from `first` on,
/// `bytes` each; the numbers behind the last column are 0. Several rows at once are one stream for memory, and as many sums
/// that do not wait for each other.
template <class Stored, class T, std::size_t... R, class F>
inline void for_each_stored_lane(std::index_sequence<R...>, std::byte const* first,
                                 std::size_t bytes, std::size_t columns, F&& f) {
  constexpr std::size_t width = lane<T>::width;
  std::byte const* const row[] = {first + R * bytes...};
  std::byte const* stream = first;
  // Each line of a cache once or twice.
  auto const ask_for = [&stream]<std::size_t Count>(std::integral_constant<std::size_t, Count>) {
    constexpr std::size_t asked = (Count + 63) / 64;
    for (std::size_t i = 0; i != asked; ++i) {
      __builtin_prefetch(stream + i * Count / asked + far_ahead, 0, 2);
      __builtin_prefetch(stream + i * Count / asked + near_ahead);
    }
    stream += Count;
  };
  if constexpr (std::is_same_v<Stored, q8_0_block>) {
    // A scale for 32 signed bytes; the product is exact.
    constexpr std::size_t block = 34;
    float const* const scales = floats_of_halves();
    for (std::size_t k = 0, at = 0; k != columns; k += 32, at += block) {
      lane<T> const scale[] = {
          static_cast<double>(scales[number_at<std::uint16_t>(row[R] + at)])...};
      ask_for(std::integral_constant<std::size_t, sizeof...(R) * block>());
      [&]<std::size_t... Is>(std::index_sequence<Is...>) {
        auto const some = [&](std::size_t i) {
          f(k + i, width, (scale[R] * load_stored<signed char, T>(row[R] + at + 2 + i))...);
        };
        (some(Is * width), ...);
      }(std::make_index_sequence<32 / width>());
    }
  } else {
    std::size_t k = 0;
    for (; k + width <= columns; k += width) {
      ask_for(std::integral_constant<std::size_t, sizeof...(R) * width * sizeof(Stored)>());
      f(k, width, load_stored<Stored, T>(row[R] + k * sizeof(Stored))...);
    }
    if (k == columns) return;
    std::byte last[sizeof...(R)][width * sizeof(Stored)] = {};
    (std::memcpy(last[R], row[R] + k * sizeof(Stored), (columns - k) * sizeof(Stored)), ...);
    f(k, columns - k, load_stored<Stored, T>(last[R])...);
  }
}

}  // namespace prefer::inline v0_1::lm::detail
