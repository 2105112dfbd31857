// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/lm/arithmetic/lanes.hpp>
#include <prefer/model/matrix_product.hpp>
#include <prefer/parallel/executor.hpp>

namespace prefer::inline v0_1::lm {

namespace detail {

inline void expects_tokens(std::span<std::uint32_t const> tokens, std::size_t vocabulary,
                           char const* where) {
  for (std::size_t r = 0; r != tokens.size(); ++r) {
    if (tokens[r] < vocabulary) continue;
    refuse(std::string(where) + ": row " + std::to_string(r) + " has token " +
           std::to_string(tokens[r]) + ", expected less than " + std::to_string(vocabulary));
  }
}

}  // namespace detail

/// Rows of an embedding matrix (a weight_matrix, in whatever form it is held), one per token: to [tokens, width].
template <std::floating_point T, class Matrix>
void gather_rows(Matrix const& embedding, std::span<std::uint32_t const> tokens, std::span<T> to,
                 executor threads) {
  std::size_t const width = embedding.columns();
  expects_size(to.size(), tokens.size() * width, "gather_rows", "to");
  detail::expects_tokens(tokens, embedding.rows(), "gather_rows");
  threads.for_each_block(tokens.size(), detail::elementwise_block / (width + 1) + 1,
                         [&](std::size_t begin, std::size_t end) {
                           for (std::size_t r = begin; r != end; ++r) {
                             embedding.read_rows(tokens[r], 1, to.data() + r * width, width);
                           }
                         });
}

/// Its transpose: d_embedding[token of row r] += d_rows[r], for rows in ascending order.
///
/// Shapes  d_rows [tokens, width], d_embedding [vocabulary, width]
/// Bits    do not depend on threads
template <std::floating_point T>
void scatter_rows(std::span<std::uint32_t const> tokens, std::span<T const> d_rows,
                  std::size_t width, std::span<T> d_embedding, executor threads) {
  expects(width != 0 && d_embedding.size() % width == 0,
          "scatter_rows: d_embedding is no whole number of rows");
  expects_size(d_rows.size(), tokens.size() * width, "scatter_rows", "d_rows");
  detail::expects_tokens(tokens, d_embedding.size() / width, "scatter_rows");
  std::vector<std::size_t> order(tokens.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return tokens[a] < tokens[b]; });
  std::vector<std::size_t> first;  // of each token's rows in `order`, and the end
  for (std::size_t i = 0; i != order.size(); ++i) {
    if (i == 0 || tokens[order[i]] != tokens[order[i - 1]]) first.push_back(i);
  }
  std::size_t const distinct = first.size();
  first.push_back(order.size());
  threads.for_each_block(distinct, detail::elementwise_block / (width + 1) + 1,
                         [&](std::size_t begin, std::size_t end) {
                           for (std::size_t i = first[begin]; i != first[end]; ++i) {
                             prefer::detail::add_scaled(
                                 d_embedding.data() + tokens[order[i]] * width, T(1),
                                 d_rows.data() + order[i] * width, width);
                           }
                         });
}

}  // namespace prefer::inline v0_1::lm
