// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include <prefer/expects.hpp>
#include <prefer/file/fingerprint.hpp>
#include <prefer/lm/arithmetic/weight_products.hpp>
#include <prefer/lm/files/weight_matrix.hpp>
#include <prefer/lm/model/lora.hpp>
#include <prefer/random/distributions.hpp>
#include <prefer/random/philox.hpp>

namespace prefer::inline v0_1::lm {

/// What an adapter leaves out of its inputs in one step, drawn anew for every step, row of the data, token and map.
struct adapter_dropout {
  double share = 0;  ///< 0: nothing
  std::uint64_t seed = 0;
  std::uint64_t draw = 0;                    ///< of the batch
  std::span<std::uint64_t const> rows = {};  ///< what tells each row of the batch from all others

  [[nodiscard]] bool empty() const { return share == 0; }

  /// x with each number either left out or divided by the share that is kept, to `to` [rows, width].
  template <std::floating_point T>
  void apply(std::uint64_t map, std::size_t width, T const* x, T* to, executor threads) const {
    threads.for_each_block(rows.size(), 16, [&](std::size_t begin, std::size_t end) {
      T const kept = static_cast<T>(1 / (1 - share));
      for (std::size_t r = begin; r != end; ++r) {
        fingerprint key;
        random_stream numbers({.seed = key.add(seed).add(rows[r]).add(map).value(),
                               .purpose = random_purpose::dropout,
                               .step = draw & 0xffffffff});
        for (std::size_t i = r * width; i != (r + 1) * width; ++i) {
          to[i] = static_cast<double>(uniform01_float(numbers)) < share ? T(0) : x[i] * kept;
        }
      }
    });
  }
};

/// A linear map as a layer uses it: its matrix, perhaps a bias, perhaps what an adapter adds; and where their gradients
/// are added, null or empty where nobody asks.
template <std::floating_point T>
struct adapted_map {
  weight_matrix<T> const* matrix = nullptr;
  std::span<T const> bias = {};
  lora_matrices<T> adapter = {};
  T* matrix_gradient = nullptr;
  std::span<T> bias_gradient = {};
  std::uint64_t number = 0;  ///< of the map in its model

  [[nodiscard]] std::size_t out() const { return matrix->rows(); }
  [[nodiscard]] std::size_t in() const { return matrix->columns(); }
};

namespace detail {

template <class T>
void scale_by(std::span<T> numbers, T factor) {
  for (T& each : numbers) each *= factor;
}

/// Adapters train, so they are never multiplied in fewer bits.
template <class T>
[[nodiscard]] arithmetic<T> in_full(arithmetic<T> by) {
  by.weights = compute_type::full;
  return by;
}

}  // namespace detail

/// What an adapter makes of a map's input: scale * dropout(x) A^T, to `low` [rows, rank].
///
/// `room` [rows, in] is working memory where there is dropout.
template <std::floating_point T>
void apply_low(adapted_map<T> const& map, arithmetic<T> const& by, std::size_t rows, T const* x,
               T* low, adapter_dropout const& dropout, T* room) {
  lora_matrices<T> const& extra = map.adapter;
  if (extra.empty()) return;
  if (!dropout.empty()) {
    dropout.apply(map.number, map.in(), x, room, by.threads);
    x = room;
  }
  multiply_by_weights(detail::in_full(by), rows, x, weights_at<T>(extra.rank, map.in(), extra.a),
                      low, false);
  detail::scale_by(std::span<T>(low, rows * extra.rank), extra.scale);
}

/// y (+)= x W^T + bias + scale * (dropout(x) A^T) B^T.
///
/// Shapes  x [rows, in], y [rows, out], `low` and `room` as in apply_low; the backward pass reads `low`
template <std::floating_point T>
void apply(adapted_map<T> const& map, arithmetic<T> const& by, std::size_t rows, T const* x, T* y,
           bool add, T* low, adapter_dropout const& dropout, T* room) {
  multiply_by_weights(by, rows, x, *map.matrix, y, add);
  if (!map.bias.empty()) {
    for (std::size_t r = 0; r != rows; ++r) {
      for (std::size_t i = 0; i != map.bias.size(); ++i) y[r * map.out() + i] += map.bias[i];
    }
  }
  lora_matrices<T> const& extra = map.adapter;
  if (extra.empty()) return;
  apply_low(map, by, rows, x, low, dropout, room);
  multiply_by_weights(detail::in_full(by), rows, static_cast<T const*>(low),
                      weights_at<T>(map.out(), extra.rank, extra.b), y, true);
}

/// Its transpose: from the gradient of y that of x, (over)written or added to; gradients of matrices and bias are added,
/// those of each group of rows [group[g], group[g + 1]) in one product, so that they do not depend on what a batch is
/// made of. Where `d_x` is null nobody asks for it.
///
/// `d_low` [rows, rank] and `room` [rows, in] are working memory; `d_x` may be x.
template <std::floating_point T>
void apply_back(adapted_map<T> const& map, arithmetic<T> const& by,
                std::span<std::size_t const> group, T const* x, T const* d_y, T const* low, T* d_x,
                bool add, T* d_low, adapter_dropout const& dropout, T* room) {
  std::size_t const rows = group.back();
  std::size_t const in = map.in();
  std::size_t const out = map.out();
  auto const full = detail::in_full(by);
  if (map.matrix_gradient != nullptr) {
    add_weight_gradient(full, group, d_y, x, out, in, map.matrix_gradient);
  };
  if (!map.bias_gradient.empty()) {
    for (std::size_t r = 0; r != rows; ++r) {
      for (std::size_t i = 0; i != out; ++i) map.bias_gradient[i] += d_y[r * out + i];
    }
  }
  lora_matrices<T> const& extra = map.adapter;
  T const* const d_low_rows = d_low;
  if (!extra.empty()) {
    add_weight_gradient(full, group, d_y, low, out, extra.rank, extra.b_gradient);
    multiply_back_by_weights(full, rows, d_y, weights_at<T>(out, extra.rank, extra.b), d_low,
                             false);
    detail::scale_by(std::span<T>(d_low, rows * extra.rank), extra.scale);
    T const* taken = x;
    if (!dropout.empty()) {
      dropout.apply(map.number, in, x, room, by.threads);
      taken = room;
    }
    add_weight_gradient(full, group, d_low_rows, taken, extra.rank, in, extra.a_gradient);
  }
  if (d_x == nullptr) return;
  // From here on x may be overwritten.
  multiply_back_by_weights(by, rows, d_y, *map.matrix, d_x, add);
  if (extra.empty()) return;
  auto const a = weights_at<T>(extra.rank, in, extra.a);
  if (dropout.empty()) return multiply_back_by_weights(full, rows, d_low_rows, a, d_x, true);
  // What flows back through what was left out is left out too.
  multiply_back_by_weights(full, rows, d_low_rows, a, room, false);
  dropout.apply(map.number, in, static_cast<T const*>(room), room, by.threads);
  for (std::size_t i = 0; i != rows * in; ++i) d_x[i] += room[i];
}

}  // namespace prefer::inline v0_1::lm
