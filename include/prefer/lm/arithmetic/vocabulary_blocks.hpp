// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/lm/arithmetic/output_layer.hpp>
#include <prefer/lm/arithmetic/weight_products.hpp>
#include <prefer/lm/files/large_memory.hpp>
#include <prefer/lm/files/weight_matrix.hpp>

// How linear_log_prob cuts its work: rows into tiles, the vocabulary into segments, which threads take, and those into
// blocks, whose logits exist at once.

namespace prefer::inline v0_1::lm::detail {

inline constexpr std::size_t rows_of_tile = 240;
inline constexpr std::size_t segments_at_most = 8;

struct vocabulary_cut {
  std::size_t vocabulary, block, blocks, blocks_of_segment, segments;

  vocabulary_cut(std::size_t size, std::size_t of_block)
      : vocabulary(size),
        block(at_most(of_block, at_least(1, size))),
        blocks((size + block - 1) / block),
        blocks_of_segment(at_least(1, (blocks + segments_at_most - 1) / segments_at_most)),
        segments((blocks + blocks_of_segment - 1) / blocks_of_segment) {}

  [[nodiscard]] std::size_t first(std::size_t b) const { return b * block; }
  [[nodiscard]] std::size_t count(std::size_t b) const {
    return at_most(block, vocabulary - b * block);
  }
  /// f(block) for those of a segment.
  template <class F>
  void for_each_block(std::size_t segment, F const& f) const {
    std::size_t const end = at_most(blocks, (segment + 1) * blocks_of_segment);
    for (std::size_t b = segment * blocks_of_segment; b != end; ++b) f(b);
  }
  /// Whether a token lies in a segment.
  [[nodiscard]] bool holds(std::size_t segment, std::size_t token) const {
    return token / block / blocks_of_segment == segment;
  }
};

struct row_tile {
  std::size_t begin, count;
  [[nodiscard]] std::size_t end() const { return begin + count; }
};
/// Rows in tiles; none lies in two groups.
inline std::vector<row_tile> tiles_of(std::size_t rows, std::span<std::size_t const> groups = {}) {
  std::vector<row_tile> out;
  auto const cut = [&out](std::size_t begin, std::size_t end) {
    even_parts const parts(end - begin, rows_of_tile, whole_tiles_of_rows);
    for (std::size_t p = 0; p != parts.count(); ++p) {
      out.push_back({begin + parts.begin(p), parts.length(p)});
    }
  };
  if (groups.empty()) {
    cut(0, rows);
  } else {
    for (std::size_t g = 0; g + 1 != groups.size(); ++g) cut(groups[g], groups[g + 1]);
  }
  return out;
}

/// The tokens that are scored from each row, by their numbers.
struct tokens_of_rows {
  std::vector<std::size_t> offset, token;

  tokens_of_rows(scored_tokens const& tokens, std::size_t rows) : offset(rows + 1) {
    for (std::size_t t = 0; t != tokens.size(); ++t) ++offset[tokens.row_of(t) + 1];
    for (std::size_t r = 0; r != rows; ++r) offset[r + 1] += offset[r];
    token.resize(tokens.size());
    std::vector<std::size_t> next(offset.begin(), offset.end() - 1);
    for (std::size_t t = 0; t != tokens.size(); ++t) token[next[tokens.row_of(t)]++] = t;
  }
  [[nodiscard]] std::span<std::size_t const> of(std::size_t row) const {
    return std::span(token).subspan(offset[row], offset[row + 1] - offset[row]);
  }
};

inline void expects_tokens(scored_tokens const& tokens, std::size_t rows, std::size_t vocabulary,
                           char const* where) {
  if (!tokens.row.empty()) expects_size(tokens.row.size(), tokens.size(), where, "tokens.row");
  if (tokens.row.empty()) expects_size(tokens.size(), rows, where, "tokens.target");
  auto const refuse_token = [where](std::size_t t, char const* what, std::size_t is,
                                    std::size_t limit) {
    refuse(std::string(where) + ": " + what + " of token " + std::to_string(t) + " is " +
           std::to_string(is) + ", expected less than " + std::to_string(limit));
  };
  for (std::size_t t = 0; t != tokens.size(); ++t) {
    if (tokens.target[t] >= vocabulary) refuse_token(t, "target", tokens.target[t], vocabulary);
    if (tokens.row_of(t) >= rows) refuse_token(t, "row", tokens.row_of(t), rows);
  }
}

/// Products with blocks of a matrix's rows, on the calling thread: as numbers, or rounded to bfloat16 where the arithmetic
/// says so. What is stored is read a block at a time.
template <std::floating_point T>
class matrix_blocks {
 public:
  /// Memory that a thread uses again.
  struct room {
    large_memory<T> block;
    large_memory<bfloat16> rounded_block, rounded_rows, rounded_weights;
  };

  matrix_blocks(arithmetic<T> const& how, weight_matrix<T> const& matrix, room& memory)
      : how_(how), matrix_(matrix), room_(memory), rounds_(how.weights == compute_type::bf16) {}

  void read(std::size_t first, std::size_t count) {
    std::size_t const width = matrix_.columns();
    count_ = count;
    if (rounds_) {
      auto const* const stored = matrix_.row_bytes(first, count).data();
      if (matrix_.type() == tensor_type::bf16 &&
          reinterpret_cast<std::uintptr_t>(stored) % alignof(bfloat16) == 0) {
        rounded_ = reinterpret_cast<bfloat16 const*>(stored);
        return;
      }
    }
    if (matrix_.has_values()) {
      numbers_ = matrix_.values().data() + first * width;
    } else {
      T* const numbers = room_.block.reserve(count * width);
      matrix_.read_rows(first, count, numbers, width);
      numbers_ = numbers;
    }
    if (rounds_) rounded_ = rounded(numbers_, count, width, width, room_.rounded_block);
  }
  /// The rows whose logits are asked for until the next call.
  void take_rows(T const* hidden, std::size_t rows) {
    hidden_ = hidden;
    rows_ = rows;
    std::size_t const width = matrix_.columns();
    if (rounds_) rounded_rows_ = rounded(hidden, rows, width, width, room_.rounded_rows);
  }
  /// to[rows, count] = rows block'
  void logits(T* to, std::size_t stride) const {
    std::size_t const width = matrix_.columns();
    auto const fill = [&](auto p) {
      p.rows = rows_;
      p.columns = count_;
      p.depth = p.left_stride = p.right_stride = width;
      p.right_transposed = true;
      p.to_stride = stride;
      return p;
    };
    if constexpr (std::same_as<T, float>) {
      if (rounds_) {
        multiply_alike(how_.by,
                       fill(bfloat16_product{.left = rounded_rows_, .right = rounded_, .to = to}));
        return;
      }
    }
    multiply_alike(how_.by, fill(product<T>{.left = hidden_, .right = numbers_, .to = to}));
  }
  /// to[rows, width] = weights[rows, count] block, or added.
  void back(T const* weights, std::size_t stride, std::size_t rows, T* to, bool add) const {
    std::size_t const width = matrix_.columns();
    auto const fill = [&](auto p) {
      p.rows = rows;
      p.columns = p.right_stride = p.to_stride = width;
      p.depth = count_;
      p.left_stride = stride;
      p.to = to;
      p.add = add;
      return p;
    };
    if constexpr (std::same_as<T, float>) {
      if (rounds_) {
        auto p = fill(bfloat16_product{.right = rounded_});
        p.left = rounded(weights, rows, count_, stride, room_.rounded_weights);
        p.left_stride = count_;
        multiply_alike(how_.by, p);
        return;
      }
    }
    multiply_alike(how_.by, fill(product<T>{.left = weights, .right = numbers_}));
  }

 private:
  /// [rows, columns], without what lies between rows.
  static bfloat16 const* rounded(T const* from, std::size_t rows, std::size_t columns,
                                 std::size_t stride, large_memory<bfloat16>& to) {
    bfloat16* const out = to.reserve(rows * columns);
    for (std::size_t r = 0; r != rows; ++r) {
      for (std::size_t c = 0; c != columns; ++c) {
        out[r * columns + c] = bfloat16(from[r * stride + c]);
      }
    }
    return out;
  }

  arithmetic<T> const& how_;
  weight_matrix<T> const& matrix_;
  room& room_;
  bool rounds_;
  std::size_t count_ = 0, rows_ = 0;
  T const* numbers_ = nullptr;
  T const* hidden_ = nullptr;
  bfloat16 const* rounded_ = nullptr;
  bfloat16 const* rounded_rows_ = nullptr;
};

}  // namespace prefer::inline v0_1::lm::detail
