// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstring>
#include <span>
#include <tuple>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/lm/layers/attention.hpp>

namespace prefer::inline v0_1::lm {

namespace detail {

/// Rows of a segment whose gradients belong together, and where they lie in their chain: in the part with this ordinal, of
/// those that every chain through the segment begins with.
struct attention_part {
  std::size_t first_row;
  std::size_t rows;
  std::size_t begin;  // number of the first row in its chain
  std::size_t ordinal;
};

/// Part `query` reads keys of part `key`, `round` parts above it in its chain.
struct part_pair {
  std::size_t round;
  std::size_t key;
  std::size_t query;
  friend bool operator<(part_pair const& a, part_pair const& b) {
    return std::tie(a.round, a.key, a.query) < std::tie(b.round, b.key, b.query);
  }
};

/// Who reads whom, in an order in which work can be shared among threads and sums have one order all the same: in one
/// round, no part is the query of two pairs, and pairs of one key lie side by side.
struct attention_plan {
  std::vector<attention_part> parts;
  std::vector<part_pair> pairs;

  attention_plan(std::span<token_segment const> segments, std::size_t window) {
    struct of_segment {
      std::size_t first_part, end_part, rows,
          ordinals;  // rows and parts of its chain, its own included
    };
    std::vector<of_segment> about;
    std::vector<std::size_t> above;
    for (auto const& each : segments) {
      bool const is_root = each.parent == token_segment::no_parent;
      std::size_t begin = is_root ? 0 : about[each.parent].rows;
      std::size_t ordinal = is_root ? 0 : about[each.parent].ordinals;
      std::size_t const first_part = parts.size();
      above.clear();
      for (std::uint32_t s = each.parent; s != token_segment::no_parent; s = segments[s].parent) {
        for (std::size_t p = about[s].first_part; p != about[s].end_part; ++p) above.push_back(p);
      }
      for (std::size_t r = 0; r < each.rows; r += attention_block) {
        std::size_t const query = parts.size();
        parts.push_back(
            {each.first_row + r, at_most(attention_block, each.rows - r), begin + r, ordinal});
        above.push_back(query);
        for (std::size_t const key : above) {
          auto const& from = parts[key];
          if (window != 0 && from.begin + from.rows + window <= begin + r + 1) continue;
          pairs.push_back({ordinal - from.ordinal, key, query});
        }
        ++ordinal;
      }
      about.push_back({first_part, parts.size(), begin + each.rows, ordinal});
    }
    std::sort(pairs.begin(), pairs.end());
  }
};

}  // namespace detail

/// What attention took, gave and is asked the gradients of.
///
/// Shapes  as in attention; d_out as out, d_q as q, d_k and d_v as k and v
template <std::floating_point T>
struct attention_gradients {
  std::span<T const> q;
  std::span<T const> k;
  std::span<T const> v;
  std::span<T const> out;
  std::span<T const> log_sum_exp;
  std::span<T const> d_out;
  std::span<T> d_q;  ///< overwritten, like d_k and d_v
  std::span<T> d_k;
  std::span<T> d_v;
};

/// The transpose of attention's derivative; probabilities are recomputed from scores and log_sum_exp, block by block.
///
///   d_v_j = sum_i p_ij d_out_i,  g_ij = p_ij (d_out_i v_j - d_out_i out_i) / sqrt(head_size)
///   d_q_i = sum_j g_ij k_j,  d_k_j = sum_i g_ij q_i
///
/// Bits    the sums have one order for any number of threads: blocks of queries that read a block of keys are added from
///         the nearest to the farthest
template <std::floating_point T>
void attention_backward(attention_heads const& how, std::span<token_segment const> segments,
                        attention_gradients<T> const& of, executor threads) {
  detail::expects_heads(how, "attention_backward");
  std::size_t const rows = of.log_sum_exp.size() / how.heads;
  std::size_t const size = how.head_size;
  std::size_t const of_queries = rows * how.heads * size;
  std::size_t const of_keys = rows * how.key_value_heads * size;
  expects_size(of.log_sum_exp.size(), rows * how.heads, "attention_backward", "log_sum_exp");
  expects_size(of.q.size(), of_queries, "attention_backward", "q");
  expects_size(of.k.size(), of_keys, "attention_backward", "k");
  expects_size(of.v.size(), of_keys, "attention_backward", "v");
  expects_size(of.out.size(), of_queries, "attention_backward", "out");
  expects_size(of.d_out.size(), of_queries, "attention_backward", "d_out");
  expects_size(of.d_q.size(), of_queries, "attention_backward", "d_q");
  expects_size(of.d_k.size(), of_keys, "attention_backward", "d_k");
  expects_size(of.d_v.size(), of_keys, "attention_backward", "d_v");
  expects_segments(segments, rows, "attention_backward");

  std::vector<T> along_out(rows * how.heads);  // d_out_i out_i
  threads.for_each_block(
      rows, detail::elementwise_block / (how.heads * size) + 1,
      [&](std::size_t begin, std::size_t end) {
        auto const clear = [&](std::span<T> values, std::size_t width) {
          std::memset(values.data() + begin * width, 0, (end - begin) * width * sizeof(T));
        };
        clear(of.d_q, how.heads * size);
        clear(of.d_k, how.key_value_heads * size);
        clear(of.d_v, how.key_value_heads * size);
        for (std::size_t i = begin * how.heads; i != end * how.heads; ++i) {
          along_out[i] =
              prefer::detail::dot(of.d_out.data() + i * size, of.out.data() + i * size, size);
        }
      });

  using detail::attention_block;
  std::size_t const padded = detail::whole_lanes<T>(size);
  std::size_t const key_stride = how.key_value_heads * size;
  std::size_t const query_stride = how.heads * size;
  detail::attention_plan const plan(segments, how.window);
  lane<T> const scale = how.scale();

  // All pairs [first, last) of one key part, for one key and value head.
  auto const add_pairs = [&](std::size_t first, std::size_t last, std::size_t shared) {
    auto const& key = plan.parts[plan.pairs[first].key];
    std::size_t const head_rows = attention_block * padded;
    detail::scratch<T> const memory(4 * head_rows + 2 * attention_block * size +
                                    2 * attention_block * attention_block);
    T* const keys = memory.data();  // [block, padded], and so on
    T* const queries = keys + head_rows;
    T* const d_out = queries + head_rows;
    T* const zeros = d_out + head_rows;
    T* const keys_down = zeros + head_rows;  // [size, block]
    T* const values_down = keys_down + attention_block * size;
    T* const p = values_down + attention_block * size;  // [block, block]
    T* const g = p + attention_block * attention_block;
    std::memset(zeros, 0, (head_rows + 2 * attention_block * size) * sizeof(T));
    std::size_t const key_at = key.first_row * key_stride + shared * size;
    detail::copy_head(of.k.data(), key.first_row, key.rows, how.key_value_heads, shared, size,
                      keys);
    prefer::detail::transpose(key.rows, size, of.k.data() + key_at, key_stride, keys_down,
                              attention_block);
    prefer::detail::transpose(key.rows, size, of.v.data() + key_at, key_stride, values_down,
                              attention_block);
    for (std::size_t pair = first; pair != last; ++pair) {
      auto const& query = plan.parts[plan.pairs[pair].query];
      for (std::size_t head = shared * how.group(); head != (shared + 1) * how.group(); ++head) {
        detail::copy_head(of.q.data(), query.first_row, query.rows, how.heads, head, size, queries);
        detail::copy_head(of.d_out.data(), query.first_row, query.rows, how.heads, head, size,
                          d_out);
        auto const scores = [&](T const* left, T* right, T* to) {
          add_product<T>({.rows = query.rows,
                          .columns = key.rows,
                          .depth = size,
                          .right = right,
                          .right_stride = attention_block,
                          .from = zeros,
                          .from_stride = 0,
                          .to = to,
                          .to_stride = attention_block},
                         [&](std::size_t r) { return left + r * padded; });
        };
        scores(queries, keys_down, p);
        scores(d_out, values_down, g);
        for (std::size_t r = 0; r != query.rows; ++r) {
          auto const seen = detail::visible_at(query.begin + r, key.begin, key.rows, how.window);
          std::size_t const at = (query.first_row + r) * how.heads + head;
          lane<T> const log_sum_exp = of.log_sum_exp[at];
          lane<T> const along = along_out[at];
          T* const p_row = p + r * attention_block;
          T* const g_row = g + r * attention_block;
          for (std::size_t c = 0; c < key.rows; c += lane<T>::width) {
            auto const share = exp(lane<T>::load(p_row + c) * scale - log_sum_exp);
            share.store(p_row + c);
            (share * (lane<T>::load(g_row + c) - along) * scale).store(g_row + c);
          }
          for (T* const row : {p_row, g_row}) {
            for (std::size_t c = 0; c != seen.low; ++c) row[c] = 0;
            for (std::size_t c = seen.high; c < key.rows; ++c) row[c] = 0;
          }
        }
        T* const d_q = of.d_q.data() + query.first_row * query_stride + head * size;
        add_product<T>({.rows = query.rows,
                        .columns = size,
                        .depth = key.rows,
                        .right = keys,
                        .right_stride = padded,
                        .from = d_q,
                        .from_stride = query_stride,
                        .to = d_q,
                        .to_stride = query_stride},
                       [&](std::size_t r) { return g + r * attention_block; });
        auto const add_to_keys = [&](T const* left, T* right, T* to) {
          add_product<T>({.rows = key.rows,
                          .columns = size,
                          .depth = query.rows,
                          .step = attention_block,
                          .right = right,
                          .right_stride = padded,
                          .from = to,
                          .from_stride = key_stride,
                          .to = to,
                          .to_stride = key_stride},
                         [&](std::size_t r) { return left + r; });
        };
        add_to_keys(g, queries, of.d_k.data() + key_at);
        add_to_keys(p, d_out, of.d_v.data() + key_at);
      }
    }
  };

  std::vector<std::size_t> first;  // pair of each task of a round, and the end
  for (std::size_t begin = 0; begin != plan.pairs.size();) {
    std::size_t const round = plan.pairs[begin].round;
    first.clear();
    std::size_t end = begin;
    for (; end != plan.pairs.size() && plan.pairs[end].round == round; ++end) {
      if (end == begin || plan.pairs[end].key != plan.pairs[end - 1].key) first.push_back(end);
    }
    std::size_t const tasks = first.size();
    first.push_back(end);
    threads.for_each_chunk(tasks * how.key_value_heads, [&](std::size_t chunk) {
      std::size_t const task = chunk / how.key_value_heads;
      add_pairs(first[task], first[task + 1], chunk % how.key_value_heads);
    });
    begin = end;
  }
}

}  // namespace prefer::inline v0_1::lm
