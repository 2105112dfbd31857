// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <utility>

#include <prefer/lm/arithmetic/lanes.hpp>
#include <prefer/model/matrix_product.hpp>

namespace prefer::inline v0_1::lm::detail {

// Rows of weights and vectors whose products are in registers at once: 24 lanes of sums beside 6 of weights and one of a
// vector where there are 32 registers, 12 beside 3 and one where there are 16.
inline constexpr std::size_t rows_at_once = prefer::detail::registers == 32 ? 6 : 3;
inline constexpr std::size_t vectors_at_once = 4;

/// The numbers of two lanes in groups of `Size`, which are added up by halves: the groups of `a`, then those of `b`.
template <std::size_t Size, class T, std::size_t W>
[[nodiscard]] inline lane<T, W> add_halves(lane<T, W> a, lane<T, W> b) {
  constexpr std::size_t half = Size / 2;
  return [&]<std::size_t... Is>(std::index_sequence<Is...>) {
    using prefer::detail::picked;
    auto const low =
        picked<T, W>(a.v, b.v, std::index_sequence<(Is / half * Size + Is % half)...>());
    auto const high =
        picked<T, W>(a.v, b.v, std::index_sequence<(Is / half * Size + half + Is % half)...>());
    return lane<T, W>(low + high);
  }(std::make_index_sequence<W>());
}

/// The sum of each of `Count` lanes, in the bits of `sum`, to[lane]. `to` has room for whole lanes.
template <std::size_t Size, std::size_t Count, class T, std::size_t W>
inline void store_sums(lane<T, W> const* of, T* to) {
  if constexpr (Size == 1) {
    for (std::size_t i = 0; i != Count; ++i) of[i].store(to + i * W);
  } else {
    lane<T, W> added[(Count + 1) / 2];
    for (std::size_t i = 0; i != (Count + 1) / 2; ++i) {
      added[i] = add_halves<Size>(of[2 * i], of[at_most(2 * i + 1, Count - 1)]);
    }
    store_sums<Size / 2, (Count + 1) / 2>(static_cast<lane<T, W> const*>(added), to);
  }
}

/// The products of a few rows with a few vectors, as lanes that are not added up yet.
template <class T>
class product_tile {
 public:
  static constexpr std::size_t sums = rows_at_once * vectors_at_once;
  /// Numbers that `store` writes: of row r with vector v at [v * rows_at_once + r], and some behind the last.
  static constexpr std::size_t stored = (sums / lane<T>::width + 1) * lane<T>::width;

  /// Adds weights [rows, columns] times vectors [vectors, columns], lane by lane in the order of columns. Meanwhile memory
  /// is asked for the row at `ahead`.
  void add(T const* const* row, T const* const* in, std::size_t columns, T const* ahead) {
    add_lanes(std::make_index_sequence<sums>(), row, in, columns, ahead);
  }
  void store(T* to) const { store_sums<lane<T>::width, sums>(&sum_[0], to); }

 private:
  template <std::size_t... Is>
  void add_lanes(std::index_sequence<Is...>, T const* const* row, T const* const* in,
                 std::size_t columns, T const* ahead) {
    using prefer::detail::multiply_add;
    constexpr std::size_t width = lane<T>::width;
    T const* const from[] = {row[Is % rows_at_once]...};
    T const* const with[] = {in[Is / rows_at_once]...};
    lane<T> sum[] = {sum_[Is]...};
    std::size_t k = 0;
    for (; k + width <= columns; k += width) {
      __builtin_prefetch(ahead + k);
      ((sum[Is] = multiply_add(lane<T>::load(from[Is] + k), lane<T>::load(with[Is] + k), sum[Is])),
       ...);
    }
    if (k != columns) {
      ((sum[Is] = multiply_add(load_first(from[Is] + k, columns - k),
                               load_first(with[Is] + k, columns - k), sum[Is])),
       ...);
    }
    ((sum_[Is] = sum[Is]), ...);
  }

  lane<T> sum_[sums] = {};
};

}  // namespace prefer::inline v0_1::lm::detail
