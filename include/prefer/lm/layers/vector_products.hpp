// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <concepts>
#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/lm/arithmetic/lanes.hpp>
#include <prefer/lm/files/tensor_type.hpp>
#include <prefer/lm/files/weight_matrix.hpp>
#include <prefer/lm/layers/product_tile.hpp>
#include <prefer/lm/layers/stored_lanes.hpp>
#include <prefer/model/matrix_product.hpp>
#include <prefer/parallel/executor.hpp>

namespace prefer::inline v0_1::lm {

/// A matrix times one vector for each of a few sequences, for writing them token by token.
///
///   out = matrix in + up low + bias
///
/// `up` is what an adapter adds, and `low` what the adapter's other matrix made of `in`, scaled.
///
/// Shapes  in [sequences, columns], out [sequences, rows], bias [rows] or empty, up [rows, rank], low [sequences, rank]
template <std::floating_point T>
struct vector_product {
  weight_matrix<T> const* matrix = nullptr;
  T const* in = nullptr;
  T* out = nullptr;
  bool add = false;  ///< to what lies in `out`
  std::span<T const> bias = {};
  std::size_t rank = 0;
  T const* up = nullptr;
  T const* low = nullptr;
};

namespace detail {

// Bytes of rows that a thread takes at a time: few, so that threads end together.
inline constexpr std::size_t bytes_at_once = 8192;
// Rows that go together where there is one vector: as many as keep sums from waiting for each other at the pace of memory.
template <class Stored, class T>
inline constexpr std::size_t rows_together = std::is_same_v<Stored, T>            ? 1
                                             : std::is_same_v<Stored, q8_0_block> ? 3
                                                                                  : 2;

/// Rows [begin, end) of a product, for all sequences. Every sum is that of the numbers of a row as T times a vector's,
/// lane by lane in their order, behind them an adapter's; lanes are added by halves at the end. For one sequence and for
/// many that is the same, so a sequence's bits do not depend on how many there are.
template <class T>
class product_rows {
 public:
  product_rows(vector_product<T> const& of, std::size_t sequences)
      : of_(of), sequences_(sequences), columns_(of.matrix->columns()) {}

  void multiply(std::size_t begin, std::size_t end) const {
    switch (of_.matrix->type()) {
      case type_of_values<T>:
        return multiply_stored<T>(begin, end);
      case tensor_type::bf16:
        return multiply_stored<bfloat16>(begin, end);
      case tensor_type::q8_0:
        return multiply_stored<q8_0_block>(begin, end);
      default:
        return multiply_tiles(begin, end, [this](std::size_t first, std::size_t count, T* to) {
          of_.matrix->read_rows(first, count, to, columns_);
        });
    }
  }

 private:
  template <class Stored>
  void multiply_stored(std::size_t begin, std::size_t end) const {
    std::size_t const bytes = row_bytes(of_.matrix->type(), columns_);
    std::byte const* const rows = of_.matrix->row_bytes(begin, end - begin).data();
    if (sequences_ == 1) {
      constexpr std::size_t together = rows_together<Stored, T>;
      std::size_t r = begin;
      for (; r + together <= end; r += together) {
        multiply_rows<Stored>(std::make_index_sequence<together>(), rows + (r - begin) * bytes, r);
      }
      for (; r != end; ++r) {
        multiply_rows<Stored>(std::index_sequence<0>(), rows + (r - begin) * bytes, r);
      }
      return;
    }
    if (of_.matrix->has_values()) return multiply_values(begin, end);
    multiply_tiles(begin, end, [&](std::size_t first, std::size_t count, T* to) {
      for (std::size_t r = 0; r != count; ++r) {
        T* const numbers = to + r * columns_;
        for_each_stored_lane<Stored, T>(std::index_sequence<0>(),
                                        rows + (first + r - begin) * bytes, bytes, columns_,
                                        [&](std::size_t k, std::size_t some, lane<T> of) {
                                          store_first(of, numbers + k, some);
                                        });
      }
    });
  }
  void multiply_values(std::size_t begin, std::size_t end) const {
    for (std::size_t r = begin; r < end; r += rows_at_once) {
      T const* const rows = of_.matrix->values().data() + r * columns_;
      bool const more = r + 2 * rows_at_once <= of_.matrix->rows();
      multiply_tile_of_rows(rows, r, at_most(rows_at_once, end - r),
                            more ? rows + rows_at_once * columns_ : nullptr);
    }
  }
  // Where a row is not in memory as T, as many as a tile has are read: read(first row, rows, to).
  template <class Read>
  void multiply_tiles(std::size_t begin, std::size_t end, Read const& read) const {
    scratch<T> const numbers(rows_at_once * columns_);
    for (std::size_t r = begin; r < end; r += rows_at_once) {
      std::size_t const count = at_most(rows_at_once, end - r);
      read(r, count, numbers.data());
      multiply_tile_of_rows(numbers.data(), r, count, nullptr);
    }
  }

  // The rows stay in the first-level cache while all vectors pass, and `next` comes from memory meanwhile.
  void multiply_tile_of_rows(T const* rows, std::size_t r, std::size_t count, T const* next) const {
    // Rows and vectors beyond the last repeat it: they are computed, and dropped.
    T const* row[rows_at_once];
    T const* up[rows_at_once];
    for (std::size_t i = 0; i != rows_at_once; ++i) {
      std::size_t const taken = at_most(i, count - 1);
      row[i] = rows + taken * columns_;
      up[i] = of_.up + (r + taken) * of_.rank;
    }
    std::size_t const tiles = (sequences_ + vectors_at_once - 1) / vectors_at_once;
    for (std::size_t tile = 0; tile != tiles; ++tile) {
      std::size_t const first = tile * vectors_at_once;
      std::size_t const some = at_most(vectors_at_once, sequences_ - first);
      T const* in[vectors_at_once];
      T const* low[vectors_at_once];
      for (std::size_t s = 0; s != vectors_at_once; ++s) {
        std::size_t const taken = first + at_most(s, some - 1);
        in[s] = of_.in + taken * columns_;
        low[s] = of_.low + taken * of_.rank;
      }
      product_tile<T> sums;
      sums.add(row, in, columns_, ask_for_next(next, tile, tiles));
      if (of_.rank != 0) sums.add(up, low, of_.rank, up[0]);
      T value[product_tile<T>::stored];
      sums.store(value);
      for (std::size_t s = 0; s != some; ++s) {
        for (std::size_t i = 0; i != count; ++i) {
          finish(r + i, first + s, value[s * rows_at_once + i]);
        }
      }
    }
  }
  // Each of the passes over the rows of a tile asks for its share of the next one's: gives the row that goes beside its own,
  // or one that is here already.
  [[nodiscard]] T const* ask_for_next(T const* next, std::size_t pass, std::size_t passes) const {
    if (next == nullptr) return of_.in;
    constexpr std::size_t per_line = 64 / sizeof(T);
    for (std::size_t r = pass + passes; r < rows_at_once; r += passes) {
      for (std::size_t k = 0; k < columns_; k += per_line) {
        __builtin_prefetch(next + r * columns_ + k);
      }
    }
    return pass < rows_at_once ? next + pass * columns_ : of_.in;
  }
  // The rows r + R... with the only vector.
  template <class Stored, std::size_t... R>
  void multiply_rows(std::index_sequence<R...> these, std::byte const* rows, std::size_t r) const {
    lane<T> sums[] = {(static_cast<void>(R), lane<T>(0.0))...};
    auto const add_products_with = [&sums](T const* in) {
      return [&sums, in](std::size_t k, std::size_t some, auto const&... of) {
        auto const x = load_first(in + k, some);
        ((sums[R] = prefer::detail::multiply_add(of, x, sums[R])), ...);
      };
    };
    for_each_stored_lane<Stored, T>(these, rows, row_bytes(of_.matrix->type(), columns_), columns_,
                                    add_products_with(of_.in));
    if (of_.rank != 0) {
      auto const* const up = reinterpret_cast<std::byte const*>(of_.up + r * of_.rank);
      for_each_stored_lane<T, T>(these, up, of_.rank * sizeof(T), of_.rank,
                                 add_products_with(of_.low));
    }
    (finish(r + R, 0, sum(sums[R])), ...);
  }
  void finish(std::size_t r, std::size_t sequence, T value) const {
    if (!of_.bias.empty()) value += of_.bias[r];
    T& to = of_.out[sequence * of_.matrix->rows() + r];
    to = of_.add ? to + value : value;
  }

  vector_product<T> const& of_;
  std::size_t sequences_;
  std::size_t columns_;
};

/// f(piece) for every piece in [0, pieces). A thread takes pieces one after the other from a stream of its own, so that what
/// it asks for ahead is what it reads next; then it takes what others have left.
template <class F>
void for_each_piece_in_streams(executor threads, std::size_t pieces, F const& f) {
  struct alignas(64) stream {
    std::atomic<std::size_t> next;
    std::size_t end;
  };
  std::size_t const count = at_most(threads.concurrency(), pieces);
  std::vector<stream> streams(count);
  for (std::size_t s = 0; s != count; ++s) {
    streams[s].next.store(pieces * s / count, std::memory_order_relaxed);
    streams[s].end = pieces * (s + 1) / count;
  }
  threads.for_each_chunk(count, [&](std::size_t own) {
    for (std::size_t s = 0; s != count; ++s) {
      auto& [next, end] = streams[(own + s) % count];
      for (;;) {
        std::size_t const piece = next.fetch_add(1, std::memory_order_relaxed);
        if (piece >= end) break;
        f(piece);
      }
    }
  });
}

}  // namespace detail

/// Several products at once, which do not read what another one writes. Every weight is read once for all sequences.
///
/// Bits    of a sequence's numbers depend neither on the other sequences nor on threads
template <std::floating_point T>
void multiply_vectors(std::span<vector_product<T> const> products, std::size_t sequences,
                      executor threads) {
  for (auto const& each : products) {
    expects(each.bias.empty() || each.bias.size() == each.matrix->rows(),
            "multiply_vectors: a bias has one number for each row of its matrix");
  }
  // Whole tiles, so that none is computed for rows that are dropped.
  auto const rows_of_piece = [](vector_product<T> const& of) {
    std::size_t const tile =
        (row_bytes(of.matrix->type(), of.matrix->columns()) + 1) * detail::rows_at_once;
    return (detail::bytes_at_once / tile + 1) * detail::rows_at_once;
  };
  auto const pieces_of = [&](vector_product<T> const& of) {
    return (of.matrix->rows() + rows_of_piece(of) - 1) / rows_of_piece(of);
  };
  std::size_t pieces = 0;
  for (auto const& each : products) pieces += pieces_of(each);
  detail::for_each_piece_in_streams(threads, pieces, [&](std::size_t piece) {
    std::size_t p = 0;
    for (; piece >= pieces_of(products[p]); ++p) piece -= pieces_of(products[p]);
    std::size_t const rows = rows_of_piece(products[p]);
    detail::product_rows<T>(products[p], sequences)
        .multiply(piece * rows, detail::at_most(products[p].matrix->rows(), (piece + 1) * rows));
  });
}

}  // namespace prefer::inline v0_1::lm
