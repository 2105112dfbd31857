// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <span>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/lm/arithmetic/lanes.hpp>
#include <prefer/model/matrix_product.hpp>
#include <prefer/parallel/executor.hpp>

namespace prefer::inline v0_1::lm {

namespace detail {

// Rows whose share of the weight's gradient is summed before it meets that of the others: what fixes the order of the sum.
inline constexpr std::size_t norm_rows = 64;

inline void expects_rows(std::size_t values, std::size_t rows, std::size_t width, char const* where,
                         char const* argument) {
  expects_size(values, rows * width, where, argument);
}

}  // namespace detail

/// Root mean square normalisation of rows.
///
///   y_i = x_i * inverse_rms * weight_i,  inverse_rms = 1 / sqrt(mean(x^2) + epsilon)
///
/// Shapes  x and y [rows, width], weight [width], inverse_rms [rows], which the backward pass reads. `y` may be `x`.
///         For a norm of each head's q or k, a row is one head of one token.
/// Source  Zhang and Sennrich 2019, arXiv:1910.07467
template <std::floating_point T>
void rms_norm(std::span<T const> x, std::span<T const> weight, double epsilon, std::span<T> y,
              std::span<T> inverse_rms, executor threads) {
  std::size_t const width = weight.size();
  expects(width != 0, "rms_norm: the weight is empty");
  detail::expects_rows(x.size(), inverse_rms.size(), width, "rms_norm", "x");
  detail::expects_rows(y.size(), inverse_rms.size(), width, "rms_norm", "y");
  threads.for_each_block(
      inverse_rms.size(), detail::elementwise_block / width + 1,
      [&](std::size_t begin, std::size_t end) {
        for (std::size_t r = begin; r != end; ++r) {
          T const* const from = x.data() + r * width;
          T* const to = y.data() + r * width;
          T const mean = prefer::detail::dot(from, from, width) / static_cast<T>(width);
          inverse_rms[r] = 1 / std::sqrt(mean + static_cast<T>(epsilon));
          lane<T> const scale = inverse_rms[r];
          detail::for_each_lane<T>(0, width, [&](std::size_t i, std::size_t count) {
            auto const w = detail::load_first(weight.data() + i, count);
            detail::store_first(detail::load_first(from + i, count) * scale * w, to + i, count);
          });
        }
      });
}

/// Its transpose.
///
///   d_x += inverse_rms * (weight d_y - x * inverse_rms^2 * mean(weight d_y x)),  d_weight += sum over rows of d_y x inverse_rms
///
/// `d_x` is added to, so that what flows around the layer may lie there already. `d_weight` is empty where nobody asks.
/// Bits    do not depend on threads
template <std::floating_point T>
void rms_norm_backward(std::span<T const> x, std::span<T const> weight,
                       std::span<T const> inverse_rms, std::span<T const> d_y, std::span<T> d_x,
                       std::span<T> d_weight, executor threads) {
  std::size_t const width = weight.size();
  std::size_t const rows = inverse_rms.size();
  expects(width != 0, "rms_norm_backward: the weight is empty");
  detail::expects_rows(x.size(), rows, width, "rms_norm_backward", "x");
  detail::expects_rows(d_y.size(), rows, width, "rms_norm_backward", "d_y");
  detail::expects_rows(d_x.size(), rows, width, "rms_norm_backward", "d_x");
  bool const of_weight = !d_weight.empty();
  if (of_weight) expects_size(d_weight.size(), width, "rms_norm_backward", "d_weight");
  std::size_t const blocks = (rows + detail::norm_rows - 1) / detail::norm_rows;
  std::vector<T> shares(of_weight ? blocks * width : 0);  // [blocks, width]
  threads.for_each_chunk(blocks, [&](std::size_t block) {
    std::size_t const end = detail::at_most(rows, (block + 1) * detail::norm_rows);
    for (std::size_t r = block * detail::norm_rows; r != end; ++r) {
      T const* const in = x.data() + r * width;
      T const* const d = d_y.data() + r * width;
      T* const to = d_x.data() + r * width;
      lane<T> sums = 0.0;
      detail::for_each_lane<T>(0, width, [&](std::size_t i, std::size_t count) {
        sums += detail::load_first(d + i, count) * detail::load_first(weight.data() + i, count) *
                detail::load_first(in + i, count);
      });
      T const inverse = inverse_rms[r];
      lane<T> const scale = inverse;
      lane<T> const pull = sum(sums) * inverse * inverse * inverse / static_cast<T>(width);
      detail::for_each_lane<T>(0, width, [&](std::size_t i, std::size_t count) {
        auto const w = detail::load_first(weight.data() + i, count);
        auto const from_y = detail::load_first(d + i, count);
        auto const from_x = detail::load_first(in + i, count);
        auto const before = detail::load_first(to + i, count);
        detail::store_first(before + (w * from_y * scale - from_x * pull), to + i, count);
        if (!of_weight) return;
        T* const share = shares.data() + block * width + i;
        detail::store_first(detail::load_first(share, count) + from_y * from_x * scale, share,
                            count);
      });
    }
  });
  for (std::size_t block = 0; of_weight && block != blocks; ++block) {
    prefer::detail::add_scaled(d_weight.data(), T(1), shares.data() + block * width, width);
  }
}

}  // namespace prefer::inline v0_1::lm
