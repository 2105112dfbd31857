// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstring>
#include <new>
#include <utility>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/scalar/lane.hpp>

namespace prefer::inline v0_1 {

namespace detail {

#if defined(__AVX512F__) || defined(__aarch64__)
inline constexpr std::size_t registers = 32;
#else
inline constexpr std::size_t registers = 16;
#endif

// One expression, so that compilers that fuse only within one (clang) fuse it too.
template <class T, std::size_t W>
[[nodiscard]] inline lane<T, W> multiply_add(lane<T, W> a, lane<T, W> b, lane<T, W> c) {
  return lane<T, W>(a.v * b.v + c.v);
}

/// sum_k a_k b_k, lane by lane into two sums, which are then added up by halves.
template <class T>
[[nodiscard]] inline T dot(T const* a, T const* b, std::size_t count) {
  using pack = lane<T>;
  constexpr std::size_t width = pack::width;
  pack even = 0.0;
  pack odd = 0.0;
  std::size_t k = 0;
  for (; k + 2 * width <= count; k += 2 * width) {
    even = multiply_add(pack::load(a + k), pack::load(b + k), even);
    odd = multiply_add(pack::load(a + k + width), pack::load(b + k + width), odd);
  }
  if (k + width <= count) {
    even = multiply_add(pack::load(a + k), pack::load(b + k), even);
    k += width;
  }
  if (k != count) {
    pack x = 0.0;
    pack y = 0.0;
    std::memcpy(&x.v, a + k, (count - k) * sizeof(T));
    std::memcpy(&y.v, b + k, (count - k) * sizeof(T));
    odd = multiply_add(x, y, odd);
  }
  return sum(even + odd);
}

/// to_k += scale * from_k
template <class T>
inline void add_scaled(T* to, T scale, T const* from, std::size_t count) {
  using pack = lane<T>;
  constexpr std::size_t width = pack::width;
  pack const s = scale;
  std::size_t k = 0;
  for (; k + width <= count; k += width) {
    multiply_add(s, pack::load(from + k), pack::load(to + k)).store(to + k);
  }
  if (k != count) {
    pack x = 0.0;
    pack y = 0.0;
    std::memcpy(&x.v, from + k, (count - k) * sizeof(T));
    std::memcpy(&y.v, to + k, (count - k) * sizeof(T));
    y = multiply_add(s, x, y);
    std::memcpy(to + k, &y.v, (count - k) * sizeof(T));
  }
}

// Rows of C that a tile of registers holds, and lanes per row: 24 sums of 32 registers, or 12 of 16, beside the lanes
// of B and one element of A. That is more sums than a fused multiply-add takes cycles times the number of them that
// start in a cycle, so that none waits for its predecessor.
inline constexpr std::size_t tile_rows = 6;
// Rows of the tile for few: a policy's last rows, or the queries that share a key.
inline constexpr std::size_t low_tile_rows = 3;
inline constexpr std::size_t tile_lanes = registers == 32 ? 4 : 2;

// to = from + A * B for a full tile, where row r of A lies at a[r], one element every `step`.
template <class T, std::size_t Lanes, std::size_t... Is>
inline void multiply_tile(std::index_sequence<Is...>, T const* const* a, std::size_t step,
                          T const* b, std::size_t b_stride, std::size_t depth, T const* from,
                          std::size_t from_stride, T* to, std::size_t to_stride) {
  using pack = lane<T>;
  constexpr std::size_t width = pack::width;
  T const* const row[] = {a[Is / Lanes]...};
  // Element I of the tile is lane I % Lanes of row I / Lanes: indices that the compiler knows, so that the tile lives
  // in registers.
  pack sum[] = {pack::load(from + Is / Lanes * from_stride + Is % Lanes * width)...};
  for (std::size_t k = 0; k != depth; ++k, b += b_stride) {
    std::size_t const at = k * step;
    pack const right[] = {pack::load(b + Is % Lanes * width)...};
    ((sum[Is] = multiply_add(pack(row[Is][at]), right[Is], sum[Is])), ...);
  }
  (sum[Is].store(to + Is / Lanes * to_stride + Is % Lanes * width), ...);
}

// The same for the first `rows` rows and `columns` columns of a tile: in a full tile of its own, so that every element
// of every product goes through the same instructions.
template <class T, std::size_t Lanes, std::size_t Rows>
inline void multiply_part(std::size_t rows, std::size_t columns, T const* const* a,
                          std::size_t step, T const* b, std::size_t b_stride, std::size_t depth,
                          T const* from, std::size_t from_stride, T* to, std::size_t to_stride) {
  constexpr std::size_t width = Lanes * lane<T>::width;
  constexpr std::make_index_sequence<Rows * Lanes> tile;
  if (rows == Rows && columns == width) {
    multiply_tile<T, Lanes>(tile, a, step, b, b_stride, depth, from, from_stride, to, to_stride);
    return;
  }
  alignas(64) T part[Rows * width] = {};
  for (std::size_t r = 0; r != rows; ++r) {
    std::memcpy(part + r * width, from + r * from_stride, columns * sizeof(T));
  }
  multiply_tile<T, Lanes>(tile, a, step, b, b_stride, depth, part, width, part, width);
  for (std::size_t r = 0; r != rows; ++r) {
    std::memcpy(to + r * to_stride, part + r * width, columns * sizeof(T));
  }
}

}  // namespace detail

/// Numbers of B that are read at once from one of its rows, at most.
template <class T>
inline constexpr std::size_t product_panel = detail::tile_lanes * lane<T>::width;

/// The operands of add_product other than A. Strides are in numbers, from one row to the next.
template <class T>
struct matrix_product {
  std::size_t rows = 0;     ///< M
  std::size_t columns = 0;  ///< N
  std::size_t depth = 0;    ///< K
  std::size_t step = 1;     ///< from one element of a row of A to the next
  T const* right =
      nullptr;  ///< B [K, N], readable up to the next multiple of lane<T>::width columns
  std::size_t right_stride = 0;
  T const* from = nullptr;      ///< [M, N]
  std::size_t from_stride = 0;  ///< 0: one row for all
  T* to = nullptr;              ///< [M, N]; may be `from`
  std::size_t to_stride = 0;
};

/// to = from + A * B, for the small products inside a policy; row m of A begins at left(m).
///
/// Every element is from + a_0 b_0 + a_1 b_1 + ... in this order, whatever M, N and their cuts into calls are; cutting
/// K changes nothing either, when a call's `from` is the `to` of the call before. Fastest when K rows of product_panel
/// numbers of B stay in the first-level cache, so for K up to some 100.
template <class T, class Left>
void add_product(matrix_product<T> const& p, Left const& left) {
  constexpr std::size_t width = lane<T>::width;
  for (std::size_t n = 0; n < p.columns; n += product_panel<T>) {
    std::size_t const columns = detail::at_most(product_panel<T>, p.columns - n);
    for (std::size_t m = 0; m < p.rows; m += detail::tile_rows) {
      std::size_t const rows = detail::at_most(detail::tile_rows, p.rows - m);
      T const* a[detail::tile_rows];
      // Rows beyond the last repeat it: they are computed, and dropped.
      for (std::size_t r = 0; r != detail::tile_rows; ++r)
        a[r] = left(m + (r < rows ? r : rows - 1));
      auto const tile = [&]<std::size_t Lanes>() {
        auto const multiply = [&]<std::size_t Rows>() {
          detail::multiply_part<T, Lanes, Rows>(rows, columns, a, p.step, p.right + n,
                                                p.right_stride, p.depth,
                                                p.from + m * p.from_stride + n, p.from_stride,
                                                p.to + m * p.to_stride + n, p.to_stride);
        };
        if (rows <= detail::low_tile_rows) {
          multiply.template operator()<detail::low_tile_rows>();
        } else {
          multiply.template operator()<detail::tile_rows>();
        }
      };
      std::size_t const lanes = (columns + width - 1) / width;
      if constexpr (detail::tile_lanes == 4) {
        if (lanes == 4) {
          tile.template operator()<4>();
          continue;
        }
        if (lanes == 3) {
          tile.template operator()<3>();
          continue;
        }
      }
      if (lanes == 2) {
        tile.template operator()<2>();
      } else {
        tile.template operator()<1>();
      }
    }
  }
}

namespace detail {

// Elements I... of a and b strung together. Compilers make one shuffle of it; nvcc takes no pack as the indices of
// __builtin_shufflevector.
template <std::size_t... Is, class V>
[[nodiscard]] inline V pick(V a, V b) {
  constexpr std::size_t width = sizeof...(Is);
  return V{(Is < width ? a[Is % width] : b[Is % width])...};
}

// One round of a transposition: out rows 2i and 2i + 1 are rows i and i + W/2, their elements in turn. After as many
// rounds as W has doublings, columns are rows.
template <class T, std::size_t W, std::size_t... Is>
inline void interleave_halves(lane<T, W> (&row)[W], std::index_sequence<Is...>) {
  lane<T, W> out[W];
  for (std::size_t i = 0; i != W / 2; ++i) {
    auto const a = row[i].v;
    auto const b = row[i + W / 2].v;
    out[2 * i].v = pick<(Is / 2 + Is % 2 * W)...>(a, b);
    out[2 * i + 1].v = pick<(Is / 2 + W / 2 + Is % 2 * W)...>(a, b);
  }
  for (std::size_t i = 0; i != W; ++i) row[i] = out[i];
}

/// to[columns, rows] = transpose of from[rows, columns]
template <class T>
inline void transpose(std::size_t rows, std::size_t columns, T const* from, std::size_t from_stride,
                      T* to, std::size_t to_stride) {
  constexpr std::size_t width = lane<T>::width;
  std::size_t const whole_rows = rows / width * width;
  std::size_t const whole_columns = columns / width * width;
  for (std::size_t r = 0; r != whole_rows; r += width) {
    for (std::size_t c = 0; c != whole_columns; c += width) {
      lane<T> part[width];
      for (std::size_t i = 0; i != width; ++i)
        part[i] = lane<T>::load(from + (r + i) * from_stride + c);
      for (std::size_t half = 1; half != width; half *= 2)
        interleave_halves(part, std::make_index_sequence<width>());
      for (std::size_t i = 0; i != width; ++i) part[i].store(to + (c + i) * to_stride + r);
    }
  }
  for (std::size_t r = 0; r != rows; ++r) {
    for (std::size_t c = r < whole_rows ? whole_columns : 0; c != columns; ++c) {
      to[c * to_stride + r] = from[r * from_stride + c];
    }
  }
}

// A lane that straddles two cache lines costs two reads.
template <class T>
struct cache_line_allocator {
  using value_type = T;
  cache_line_allocator() = default;
  template <class U>
  cache_line_allocator(cache_line_allocator<U> const&) {}  // NOLINT(google-explicit-constructor)

  [[nodiscard]] T* allocate(std::size_t count) {
    return static_cast<T*>(::operator new(count * sizeof(T), std::align_val_t(64)));
  }
  void deallocate(T* from, std::size_t) { ::operator delete(from, std::align_val_t(64)); }
  friend bool operator==(cache_line_allocator, cache_line_allocator) { return true; }
};

template <class T>
using aligned_vector = std::vector<T, cache_line_allocator<T>>;

}  // namespace detail

}  // namespace prefer::inline v0_1
