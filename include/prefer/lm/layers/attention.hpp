// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/lm/arithmetic/lanes.hpp>
#include <prefer/lm/layers/token_segment.hpp>
#include <prefer/model/matrix_product.hpp>
#include <prefer/parallel/executor.hpp>
#include <prefer/scalar/lane_math.hpp>

namespace prefer::inline v0_1::lm {

/// The heads of a layer's attention, and how far they see.
struct attention_heads {
  std::size_t heads = 1;            ///< of queries
  std::size_t key_value_heads = 1;  ///< query head h reads number h / (heads / key_value_heads)
  std::size_t head_size = 1;
  std::size_t window = 0;  ///< positions that a row sees, its own among them; 0: all before it

  [[nodiscard]] constexpr std::size_t group() const { return heads / key_value_heads; }
  [[nodiscard]] double scale() const { return 1 / std::sqrt(static_cast<double>(head_size)); }
};

namespace detail {

// Rows whose scores are in memory at once, times as many keys: what the second-level cache of a core holds several of.
inline constexpr std::size_t attention_block = 64;

inline void expects_heads(attention_heads const& how, char const* where) {
  if (how.key_value_heads != 0 && how.head_size != 0 && how.heads != 0 &&
      how.heads % how.key_value_heads == 0) {
    return;
  }
  refuse(std::string(where) + ": " + std::to_string(how.heads) + " heads of size " +
         std::to_string(how.head_size) + " cannot share " + std::to_string(how.key_value_heads) +
         " key and value heads evenly");
}

/// The rows that a segment's rows see, in order of their positions: pieces of consecutive rows.
class segment_chain {
 public:
  struct piece {
    std::size_t first_row;
    std::size_t begin;  // number in the chain
    std::size_t rows;
  };

  segment_chain(std::span<token_segment const> segments, std::size_t segment) {
    std::size_t above = segment;
    for (;;) {
      auto const& each = segments[above];
      pieces_.push_back({each.first_row, 0, each.rows});
      if (each.parent == token_segment::no_parent) break;
      above = each.parent;
    }
    std::size_t begin = 0;
    for (std::size_t p = pieces_.size(); p-- != 0;) {
      pieces_[p].begin = begin;
      begin += pieces_[p].rows;
    }
  }

  /// Where the segment itself begins.
  [[nodiscard]] std::size_t own_begin() const { return pieces_.front().begin; }

  /// f(first row, place in [0, end - begin), rows) for what [begin, end) of the chain consists of.
  template <class F>
  void for_each_piece(std::size_t begin, std::size_t end, F&& f) const {
    for (auto const& each : pieces_) {
      std::size_t const from = at_least(begin, each.begin);
      std::size_t const to = at_most(end, each.begin + each.rows);
      if (from < to) f(each.first_row + (from - each.begin), from - begin, to - from);
    }
  }

 private:
  std::vector<piece> pieces_;  // the segment's own first
};

/// Of `count` keys that begin at number `begin` of a chain, those that the row at number `at` sees.
struct visible_keys {
  std::size_t low;
  std::size_t high;
};
[[nodiscard]] inline visible_keys visible_at(std::size_t at, std::size_t begin, std::size_t count,
                                             std::size_t window) {
  std::size_t const high = at < begin ? 0 : at_most(count, at + 1 - begin);
  std::size_t const first_seen = window == 0 || at + 1 < window ? 0 : at + 1 - window;
  std::size_t const low = first_seen < begin ? 0 : at_most(high, first_seen - begin);
  return {low, high};
}

/// f(first key, keys) for the blocks of a chain that `rows` rows from number `at` on see.
template <class F>
inline void for_each_key_block(std::size_t at, std::size_t rows, std::size_t window, F&& f) {
  std::size_t const first_seen = window == 0 || at + 1 < window ? 0 : at + 1 - window;
  for (std::size_t begin = first_seen / attention_block * attention_block; begin < at + rows;
       begin += attention_block) {
    f(begin, at_most(attention_block, at + rows - begin));
  }
}

/// Columns of head `head` in rows of `heads` heads, copied to rows that lanes read whole.
template <class T>
inline void copy_head(T const* from, std::size_t first_row, std::size_t rows, std::size_t heads,
                      std::size_t head, std::size_t head_size, T* to) {
  std::size_t const stride = whole_lanes<T>(head_size);
  for (std::size_t r = 0; r != rows; ++r) {
    T* const row = to + r * stride;
    std::memcpy(row, from + ((first_row + r) * heads + head) * head_size, head_size * sizeof(T));
    for (std::size_t i = head_size; i != stride; ++i) row[i] = 0;
  }
}

/// A block of rows of a segment that a task computes.
struct query_block {
  std::size_t segment;
  std::size_t first;  // row in the segment
  std::size_t rows;
};
[[nodiscard]] inline std::vector<query_block> query_blocks(
    std::span<token_segment const> segments) {
  std::vector<query_block> out;
  for (std::size_t s = 0; s != segments.size(); ++s) {
    for (std::size_t r = 0; r < segments[s].rows; r += attention_block) {
      out.push_back({s, r, at_most(attention_block, segments[s].rows - r)});
    }
  }
  return out;
}

// What a block of rows knows of its softmax after some of its keys.
template <class T>
struct running_softmax {
  T most = std::numeric_limits<T>::lowest() / 4;  // finite, so that -inf - most is -inf
  T total = 0;
};

// Turns scores of one row into exp(scale * score - most), zeros where it does not see, and says by what the sums of the
// blocks before are too large.
template <class T>
[[nodiscard]] inline T soften(T* score, std::size_t columns, visible_keys seen, T scale,
                              running_softmax<T>& running) {
  constexpr T nothing = -std::numeric_limits<T>::infinity();
  for (std::size_t c = 0; c != seen.low; ++c) score[c] = nothing;
  for (std::size_t c = seen.high; c != columns; ++c) score[c] = nothing;
  constexpr std::size_t width = lane<T>::width;
  lane<T> above = nothing;
  for (std::size_t c = 0; c != columns; c += width) above = max(lane<T>::load(score + c), above);
  T const scaled = largest(above) * scale;
  T const most = scaled > running.most ? scaled : running.most;
  lane<T> total = 0.0;
  for (std::size_t c = 0; c != columns; c += width) {
    auto const p = exp(lane<T>::load(score + c) * lane<T>(scale) - lane<T>(most));
    total += p;
    p.store(score + c);
  }
  T const shrink = exp(lane<T>(running.most - most))[0];
  running.total = running.total * shrink + sum(total);
  running.most = most;
  return shrink;
}

/// Whole lanes times a number.
template <class T>
inline void scale_lanes(T* values, std::size_t count, T by) {
  if (by == 1) return;
  for (std::size_t i = 0; i != count; i += lane<T>::width) {
    (lane<T>::load(values + i) * lane<T>(by)).store(values + i);
  }
}
/// to = from / total, where `from` has whole lanes.
template <class T>
inline void divide(T const* from, std::size_t count, T total, T* to) {
  lane<T> const inverse = 1 / total;
  for_each_lane<T>(0, count, [&](std::size_t i, std::size_t some) {
    store_first(lane<T>::load(from + i) * inverse, to + i, some);
  });
}

}  // namespace detail

/// Causal attention over ragged rows, computed block by block with a running softmax: nothing of the size of all scores.
///
///   out_i = sum_j p_ij v_j,  p_i = softmax over the rows j that row i sees of q_i k_j / sqrt(head_size)
///   log_sum_exp_i = log sum_j exp(q_i k_j / sqrt(head_size)), which the backward pass reads
///
/// Shapes  q and out [rows, heads, head_size], k and v [rows, key_value_heads, head_size], log_sum_exp [rows, heads]
/// Bits    of a row depend on the rows that it sees and nothing else: neither on other sequences, nor on how the rows it
///         sees are cut into segments, nor on threads
/// Source  Dao et al. 2022, arXiv:2205.14135; grouped queries: Ainslie et al. 2023, arXiv:2305.13245
template <std::floating_point T>
void attention(attention_heads const& how, std::span<token_segment const> segments,
               std::span<T const> q, std::span<T const> k, std::span<T const> v, std::span<T> out,
               std::span<T> log_sum_exp, executor threads) {
  detail::expects_heads(how, "attention");
  std::size_t const rows = log_sum_exp.size() / how.heads;
  expects_size(log_sum_exp.size(), rows * how.heads, "attention", "log_sum_exp");
  expects_size(q.size(), rows * how.heads * how.head_size, "attention", "q");
  expects_size(out.size(), q.size(), "attention", "out");
  expects_size(k.size(), rows * how.key_value_heads * how.head_size, "attention", "k");
  expects_size(v.size(), k.size(), "attention", "v");
  expects_segments(segments, rows, "attention");
  using detail::attention_block;
  std::size_t const size = how.head_size;
  std::size_t const padded = detail::whole_lanes<T>(size);
  auto const blocks = detail::query_blocks(segments);
  // The last rows see most: they go first, so that threads end together.
  threads.for_each_chunk(blocks.size() * how.key_value_heads, [&](std::size_t chunk) {
    auto const& block = blocks[blocks.size() - 1 - chunk / how.key_value_heads];
    std::size_t const shared = chunk % how.key_value_heads;
    detail::segment_chain const chain(segments, block.segment);
    std::size_t const first_row = segments[block.segment].first_row + block.first;
    std::size_t const first_at = chain.own_begin() + block.first;  // of the block in its chain
    std::size_t const group = how.group();
    std::size_t const head_rows = attention_block * padded;
    detail::scratch<T> const memory((2 + group) * head_rows + attention_block * size +
                                    attention_block * attention_block);
    T* const keys = memory.data();                               // [size, block], transposed
    T* const values = keys + attention_block * size;             // [block, padded]
    T* const score = values + head_rows;                         // [block, block]
    T* const zeros = score + attention_block * attention_block;  // [padded or block]
    T* const sums = zeros + head_rows;                           // [group, block, padded]
    std::vector<detail::running_softmax<T>> running(group * block.rows);
    std::memset(keys, 0, attention_block * size * sizeof(T));
    std::memset(zeros, 0, head_rows * sizeof(T));
    std::memset(sums, 0, group * head_rows * sizeof(T));

    detail::for_each_key_block(
        first_at, block.rows, how.window, [&](std::size_t begin, std::size_t columns) {
          chain.for_each_piece(
              begin, begin + columns, [&](std::size_t row, std::size_t to, std::size_t count) {
                prefer::detail::transpose(count, size,
                                          k.data() + (row * how.key_value_heads + shared) * size,
                                          how.key_value_heads * size, keys + to, attention_block);
                detail::copy_head(v.data(), row, count, how.key_value_heads, shared, size,
                                  values + to * padded);
              });
          for (std::size_t g = 0; g != group; ++g) {
            std::size_t const head = shared * group + g;
            add_product<T>({.rows = block.rows,
                            .columns = columns,
                            .depth = size,
                            .right = keys,
                            .right_stride = attention_block,
                            .from = zeros,
                            .from_stride = 0,
                            .to = score,
                            .to_stride = attention_block},
                           [&](std::size_t r) {
                             return q.data() + ((first_row + r) * how.heads + head) * size;
                           });
            T* const sum_of = sums + g * head_rows;
            for (std::size_t r = 0; r != block.rows; ++r) {
              auto const seen = detail::visible_at(first_at + r, begin, columns, how.window);
              T const shrink =
                  detail::soften(score + r * attention_block, detail::whole_lanes<T>(columns), seen,
                                 static_cast<T>(how.scale()), running[g * block.rows + r]);
              detail::scale_lanes(sum_of + r * padded, padded, shrink);
            }
            add_product<T>({.rows = block.rows,
                            .columns = size,
                            .depth = columns,
                            .right = values,
                            .right_stride = padded,
                            .from = sum_of,
                            .from_stride = padded,
                            .to = sum_of,
                            .to_stride = padded},
                           [&](std::size_t r) { return score + r * attention_block; });
          }
        });
    for (std::size_t g = 0; g != group; ++g) {
      std::size_t const head = shared * group + g;
      for (std::size_t r = 0; r != block.rows; ++r) {
        auto const& by = running[g * block.rows + r];
        detail::divide(sums + g * head_rows + r * padded, size, by.total,
                       out.data() + ((first_row + r) * how.heads + head) * size);
        log_sum_exp[(first_row + r) * how.heads + head] = by.most + std::log(by.total);
      }
    }
  });
}

}  // namespace prefer::inline v0_1::lm
