// SPDX-License-Identifier: MIT
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/lm/arithmetic/lanes.hpp>
#include <prefer/lm/files/tensor_type.hpp>
#include <prefer/lm/files/weight_matrix.hpp>
#include <prefer/model/matrix_product.hpp>
#include <prefer/parallel/executor.hpp>
#include <prefer/scalar/half.hpp>

namespace prefer::inline v0_1::lm {

/// A matrix times one vector for each of a few sequences, for writing them token by token.
///
///   out = matrix in + bias + scale * up low
///
/// `up` is what an adapter adds, and `low` what the adapter's other matrix made of `in`.
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
  T scale = 1;
};

namespace detail {

// Sequences whose products with a row are in registers at once, two sums each, and how far ahead of a row memory is asked
// for. A row's numbers come in one stream: of four rows at a time, as for a matrix, a core reads a quarter less a second.
inline constexpr std::size_t vectors_at_once = 4;
inline constexpr std::size_t bytes_ahead = 4096;

// Bytes of rows that are worth a thread's attention.
inline constexpr std::size_t bytes_per_chunk = 32768;

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

/// A row of plain numbers times the vectors at in[0], in[1] and so on: lane by lane into two sums each, then by halves.
template <class Stored, class T, std::size_t... S>
inline void multiply_row(std::index_sequence<S...>, std::byte const* row, std::size_t columns,
                         T const* const* in, T* out) {
  using prefer::detail::multiply_add;
  constexpr std::size_t width = lane<T>::width;
  T const* const x[] = {in[S]...};
  lane<T> even[] = {lane<T>(static_cast<double>(S * 0))...};
  lane<T> odd[] = {lane<T>(static_cast<double>(S * 0))...};
  std::size_t k = 0;
  for (; k + 2 * width <= columns; k += 2 * width) {
    std::byte const* const at = row + k * sizeof(Stored);
    for (std::size_t line = 0; line < 2 * width * sizeof(Stored); line += 64) {
      __builtin_prefetch(at + bytes_ahead + line);
    }
    auto const first = load_stored<Stored, T>(at);
    auto const second = load_stored<Stored, T>(at + width * sizeof(Stored));
    ((even[S] = multiply_add(first, lane<T>::load(x[S] + k), even[S]),
      odd[S] = multiply_add(second, lane<T>::load(x[S] + k + width), odd[S])),
     ...);
  }
  for (; k < columns; k += width) {
    std::size_t const rest = at_most(width, columns - k);
    std::byte last[width * sizeof(Stored)] = {};
    std::memcpy(last, row + k * sizeof(Stored), rest * sizeof(Stored));
    auto const numbers = load_stored<Stored, T>(last);
    ((even[S] = multiply_add(numbers, load_first(x[S] + k, rest), even[S])), ...);
  }
  ((out[S] = sum(even[S] + odd[S])), ...);
}

/// The same for a row of blocks of Q8_0: a scale for 32 signed bytes, which are summed before they meet it.
template <class T, std::size_t... S>
inline void multiply_row_of_q8_0(std::index_sequence<S...>, std::byte const* row,
                                 std::size_t columns, T const* const* in, T* out) {
  using prefer::detail::multiply_add;
  constexpr std::size_t width = lane<T>::width;
  T const* const x[] = {in[S]...};
  lane<T> total[] = {lane<T>(static_cast<double>(S * 0))...};
  for (std::size_t k = 0; k != columns; k += 32, row += 34) {
    __builtin_prefetch(row + bytes_ahead);
    lane<T> const scale = static_cast<double>(scale_of_block(row));
    lane<T> part[] = {lane<T>(static_cast<double>(S * 0))...};
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      auto const add = [&](std::size_t i) {
        auto const numbers = load_stored<signed char, T>(row + 2 + i * width);
        ((part[S] = multiply_add(numbers, lane<T>::load(x[S] + k + i * width), part[S])), ...);
      };
      (add(I), ...);
    }(std::make_index_sequence<32 / width>());
    ((total[S] = multiply_add(scale, part[S], total[S])), ...);
  }
  ((out[S] = sum(total[S])), ...);
}

/// Rows [begin, end) of a product, for all sequences.
template <class T>
class product_rows {
 public:
  product_rows(vector_product<T> const& of, std::size_t sequences)
      : of_(of), sequences_(sequences) {}

  void multiply(std::size_t begin, std::size_t end) const {
    switch (of_.matrix->type()) {
      case type_of_values<T>:
        return each_row(begin, end, [](auto s, auto... with) { multiply_row<T, T>(s, with...); });
      case tensor_type::bf16:
        return each_row(begin, end,
                        [](auto s, auto... with) { multiply_row<bfloat16, T>(s, with...); });
      case tensor_type::q8_0:
        return each_row(begin, end,
                        [](auto s, auto... with) { multiply_row_of_q8_0<T>(s, with...); });
      default:
        return each_row_as_numbers(begin, end);
    }
  }

 private:
  // by(sequences, bytes of the row, columns, vectors, results). All rows meet a few vectors, which stay in the first-level
  // cache, before they meet the next: only the first of these passes reads memory.
  template <class By>
  void each_row(std::size_t begin, std::size_t end, By const& by) const {
    std::size_t const bytes = row_bytes(of_.matrix->type(), of_.matrix->columns());
    std::byte const* const rows = of_.matrix->row_bytes(begin, end - begin).data();
    for_each_few([&](std::size_t first, std::size_t count) {
      std::byte const* row = rows;
      for (std::size_t r = begin; r != end; ++r, row += bytes) times_few(row, r, first, count, by);
    });
  }
  // Where reading a row is much work, it is read once.
  void each_row_as_numbers(std::size_t begin, std::size_t end) const {
    std::vector<T> numbers(of_.matrix->columns());
    auto const* const row = std::as_bytes(std::span<T const>(numbers)).data();
    for (std::size_t r = begin; r != end; ++r) {
      of_.matrix->read_rows(r, 1, numbers.data(), numbers.size());
      for_each_few([&](std::size_t first, std::size_t count) {
        times_few(row, r, first, count,
                  [](auto s, auto... with) { multiply_row<T, T>(s, with...); });
      });
    }
  }
  template <class F>
  void for_each_few(F const& f) const {
    for (std::size_t first = 0; first < sequences_; first += vectors_at_once) {
      f(first, at_most(vectors_at_once, sequences_ - first));
    }
  }

  template <class By>
  void times_few(std::byte const* row, std::size_t r, std::size_t first, std::size_t count,
                 By const& by) const {
    std::size_t const columns = of_.matrix->columns();
    T const* in[vectors_at_once];
    T out[vectors_at_once];
    for (std::size_t s = 0; s != count; ++s) in[s] = of_.in + (first + s) * columns;
    // Every number of sequences goes through the same instructions for each of them.
    switch (count) {
      case 1:
        by(std::make_index_sequence<1>(), row, columns, in, out);
        break;
      case 2:
        by(std::make_index_sequence<2>(), row, columns, in, out);
        break;
      case 3:
        by(std::make_index_sequence<3>(), row, columns, in, out);
        break;
      default:
        by(std::make_index_sequence<vectors_at_once>(), row, columns, in, out);
    }
    for (std::size_t s = 0; s != count; ++s) finish(r, first + s, out[s]);
  }
  void finish(std::size_t r, std::size_t sequence, T value) const {
    if (of_.rank != 0) {
      value += of_.scale *
               prefer::detail::dot(of_.up + r * of_.rank, of_.low + sequence * of_.rank, of_.rank);
    }
    if (!of_.bias.empty()) value += of_.bias[r];
    T& to = of_.out[sequence * of_.matrix->rows() + r];
    to = of_.add ? to + value : value;
  }

  vector_product<T> const& of_;
  std::size_t sequences_;
};

}  // namespace detail

/// Several products at once, which do not read what another one writes. Every weight is read once for all sequences.
///
/// Bits    of a sequence's numbers depend neither on the other sequences nor on threads
template <std::floating_point T>
void multiply_vectors(std::span<vector_product<T> const> products, std::size_t sequences,
                      executor threads) {
  auto const rows_per_chunk = [](vector_product<T> const& of) {
    return detail::bytes_per_chunk / (row_bytes(of.matrix->type(), of.matrix->columns()) + 1) + 1;
  };
  auto const chunks_of = [&](vector_product<T> const& of) {
    return (of.matrix->rows() + rows_per_chunk(of) - 1) / rows_per_chunk(of);
  };
  std::size_t chunks = 0;
  for (auto const& each : products) {
    expects(each.bias.empty() || each.bias.size() == each.matrix->rows(),
            "multiply_vectors: a bias has one number for each row of its matrix");
    chunks += chunks_of(each);
  }
  threads.for_each_chunk(chunks, [&](std::size_t chunk) {
    std::size_t p = 0;
    for (; chunk >= chunks_of(products[p]); ++p) chunk -= chunks_of(products[p]);
    std::size_t const rows = rows_per_chunk(products[p]);
    detail::product_rows<T>(products[p], sequences)
        .multiply(chunk * rows, detail::at_most(products[p].matrix->rows(), (chunk + 1) * rows));
  });
}

}  // namespace prefer::inline v0_1::lm
