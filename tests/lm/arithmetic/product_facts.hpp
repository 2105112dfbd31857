// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <limits>
#include <prefer/lm/arithmetic/products.hpp>
#include <prefer/lm/arithmetic/weight_products.hpp>
#include <prefer/parallel/thread_pool.hpp>
#include <prefer/random/distributions.hpp>
#include <utility>
#include <vector>

// What holds for every library that multiplies matrices, for the tests of each.

namespace product_facts {

using prefer::lm::product;
using prefer::lm::products;

template <class T>
std::vector<T> numbers(std::size_t count, std::uint64_t seed) {
  std::vector<T> out(count);
  prefer::fill_normal(std::span(out), {.seed = seed}, 0, 1);
  return out;
}

template <class T>
double element(T const* matrix, std::size_t stride, bool transposed, std::size_t r, std::size_t c) {
  return static_cast<double>(transposed ? matrix[c * stride + r] : matrix[r * stride + c]);
}

/// Each element is the sum of its terms, to the rounding that adding them up in any order may cost.
template <class T>
void expect_sums_of_terms(product<T> const& p, std::vector<T> const& before) {
  double worst = 0;
  for (std::size_t r = 0; r != p.rows; ++r) {
    for (std::size_t c = 0; c != p.columns; ++c) {
      std::size_t const at = r * p.to_stride + c;
      double sum = p.add ? static_cast<double>(before[at]) : 0;
      double magnitude = std::abs(sum);
      for (std::size_t k = 0; k != p.depth; ++k) {
        double const term = element(p.left, p.left_stride, p.left_transposed, r, k) *
                            element(p.right, p.right_stride, p.right_transposed, k, c);
        sum += term;
        magnitude += std::abs(term);
      }
      double const allowed =
          static_cast<double>(p.depth + 1) * std::numeric_limits<T>::epsilon() * magnitude;
      worst = std::max(worst, std::abs(static_cast<double>(p.to[at]) - sum) / (allowed + 1e-300));
    }
  }
  CHECK(worst <= 1);
}

template <class T>
void products_are_sums_of_terms(products<T> by) {
  struct sizes {
    std::size_t rows, columns, depth;
  };
  for (auto const& s : {sizes{1, 1, 1}, sizes{5, 3, 7}, sizes{17, 33, 65}, sizes{64, 40, 100}}) {
    for (unsigned form = 0; form != 8; ++form) {
      std::size_t const extra = 3;  // rows do not lie side by side
      bool const left_transposed = (form & 1U) != 0;
      bool const right_transposed = (form & 2U) != 0;
      auto const left = numbers<T>((s.rows + extra) * (s.depth + extra), 1);
      auto const right = numbers<T>((s.columns + extra) * (s.depth + extra), 2);
      auto to = numbers<T>(s.rows * (s.columns + extra), 3);
      auto const before = to;
      product<T> const p{.rows = s.rows,
                         .columns = s.columns,
                         .depth = s.depth,
                         .left = left.data(),
                         .left_stride = (left_transposed ? s.rows : s.depth) + extra,
                         .left_transposed = left_transposed,
                         .right = right.data(),
                         .right_stride = (right_transposed ? s.depth : s.columns) + extra,
                         .right_transposed = right_transposed,
                         .to = to.data(),
                         .to_stride = s.columns + extra,
                         .add = (form & 4U) != 0};
      by.multiply(p);
      INFO(s.rows << " x " << s.columns << " x " << s.depth << ", form " << form);
      expect_sums_of_terms(p, before);
      bool beside = true;
      for (std::size_t i = 0; i != to.size(); ++i) {
        if (i % p.to_stride >= s.columns) beside = beside && to[i] == before[i];
      }
      CHECK(beside);  // what lies between rows is not written
    }
  }
}

/// Rows of y = x w' or x w, or of what is added to y, computed alone, among few and among many others, at the front and at the back: the same bits.
template <class T>
void rows_do_not_see_each_other(products<T> by) {
  struct weights {
    std::size_t columns, depth;
  };
  constexpr std::size_t most = 300;
  for (auto const& w : {weights{576, 576}, weights{192, 64}, weights{16, 576}, weights{576, 16},
                        weights{17, 33}, weights{1, 40}, weights{64, 1536}}) {
    auto const x = numbers<T>(most * w.depth, 4);
    auto const matrix = numbers<T>(w.columns * w.depth, 5);
    auto const before = numbers<T>(most * w.columns, 6);
    for (unsigned form = 0; form != 4; ++form) {
      bool const transposed = (form & 1U) != 0;
      bool const add = (form & 2U) != 0;
      auto const rows = [&](std::size_t first, std::size_t count) {
        auto const at = before.begin() + static_cast<std::ptrdiff_t>(first * w.columns);
        std::vector<T> y(at, at + static_cast<std::ptrdiff_t>(count * w.columns));
        prefer::lm::detail::multiply_alike(
            by, product<T>{.rows = count,
                           .columns = w.columns,
                           .depth = w.depth,
                           .left = x.data() + first * w.depth,
                           .left_stride = w.depth,
                           .right = matrix.data(),
                           .right_stride = transposed ? w.depth : w.columns,
                           .right_transposed = transposed,
                           .to = y.data(),
                           .to_stride = w.columns,
                           .add = add});
        return y;
      };
      auto const all = rows(0, most);
      for (std::size_t const count : {1U, 5U, 16U, 31U, 97U, 255U}) {
        for (std::size_t const first : {std::size_t{0}, most - count}) {
          auto const some = rows(first, count);
          INFO(count << " rows of " << w.columns << " x " << w.depth << " from " << first
                     << (add ? ", added" : ""));
          CHECK(std::memcmp(some.data(), all.data() + first * w.columns, some.size() * sizeof(T)) ==
                0);
        }
      }
    }
  }
}

/// Products with weights, forward, backward and by the weights, have the same bits on any number of threads.
template <class T>
void threads_change_no_bits(products<T> by) {
  constexpr std::size_t rows = 301, out = 640, in = 310;
  auto const x = numbers<T>(rows * in, 6);
  auto const dy = numbers<T>(rows * out, 7);
  auto const w = numbers<T>(out * in, 8);
  auto const weights = prefer::lm::weights_at(out, in, w.data());
  prefer::thread_pool pool(3);
  struct results {
    std::vector<T> y, dx, dw;
  };
  auto const compute = [&](prefer::executor threads) {
    results r{std::vector<T>(rows * out), std::vector<T>(rows * in), std::vector<T>(out * in)};
    prefer::lm::arithmetic<T> const how{by, threads};
    multiply_by_weights(how, rows, x.data(), weights, r.y.data(), false);
    multiply_back_by_weights(how, rows, dy.data(), weights, r.dx.data(), false);
    add_weight_gradient(how, rows, dy.data(), x.data(), out, in, r.dw.data());
    return r;
  };
  auto const serial = compute({});
  auto const parallel = compute(pool.executor());
  CHECK(serial.y == parallel.y);
  CHECK(serial.dx == parallel.dx);
  CHECK(serial.dw == parallel.dw);
}

/// Products of a smaller batch with weights are those of the larger one.
template <class T>
void rows_with_weights_do_not_see_each_other(products<T> by) {
  constexpr std::size_t rows = 301, out = 640, in = 310;
  prefer::lm::arithmetic<T> const how{by};
  auto const x = numbers<T>(rows * in, 6);
  auto const dy = numbers<T>(rows * out, 7);
  auto const w = numbers<T>(out * in, 8);
  auto const weights = prefer::lm::weights_at(out, in, w.data());
  std::vector<T> y(rows * out), dx(rows * in), some(7 * out), back(7 * in);
  multiply_by_weights(how, rows, x.data(), weights, y.data(), false);
  multiply_back_by_weights(how, rows, dy.data(), weights, dx.data(), false);
  multiply_by_weights(how, 7, x.data() + 90 * in, weights, some.data(), false);
  multiply_back_by_weights(how, 7, dy.data() + 200 * out, weights, back.data(), false);
  CHECK(std::memcmp(some.data(), y.data() + 90 * out, some.size() * sizeof(T)) == 0);
  CHECK(std::memcmp(back.data(), dx.data() + 200 * in, back.size() * sizeof(T)) == 0);
}

template <class T>
void hold_for(products<T> by, bool rows_alike = true) {
  products_are_sums_of_terms(by);
  threads_change_no_bits(by);
  if (!rows_alike) return;
  rows_do_not_see_each_other(by);
  rows_with_weights_do_not_see_each_other(by);
}

/// Products of two numbers of 8 bits are exact in float; only sums round. Rows do not see each other, weights that are
/// stored so are taken as they are, and others are rounded.
inline void hold_for_bfloat16(products<float> by) {
  constexpr std::size_t rows = 70, out = 130, in = 50;
  auto const x = numbers<float>(rows * in, 1);
  auto const w = numbers<float>(out * in, 2);
  auto const dy = numbers<float>(rows * out, 3);
  auto const rounded = [](float each) {
    return static_cast<double>(static_cast<float>(prefer::bfloat16(each)));
  };
  prefer::lm::arithmetic<float> how{by};
  how.weights = prefer::lm::compute_type::bf16;
  auto const weights = prefer::lm::weights_at(out, in, w.data());
  std::vector<float> y(rows * out), dx(rows * in);
  multiply_by_weights(how, rows, x.data(), weights, y.data(), false);
  multiply_back_by_weights(how, rows, dy.data(), weights, dx.data(), false);
  auto const worst = [&](std::vector<float> const& got, std::size_t columns, std::size_t depth,
                         auto const& term) {
    double most = 0;
    for (std::size_t i = 0; i != got.size(); ++i) {
      double sum = 0, magnitude = 0;
      for (std::size_t k = 0; k != depth; ++k) {
        double const each = term(i / columns, i % columns, k);
        sum += each;
        magnitude += std::abs(each);
      }
      double const allowed = static_cast<double>(depth + 1) * 0x1p-23 * magnitude;
      most = std::max(most, std::abs(static_cast<double>(got[i]) - sum) / allowed);
    }
    return most;
  };
  CHECK(worst(y, out, in, [&](std::size_t r, std::size_t o, std::size_t k) {
          return rounded(x[r * in + k]) * rounded(w[o * in + k]);
        }) <= 1);
  CHECK(worst(dx, in, out, [&](std::size_t r, std::size_t i, std::size_t k) {
          return rounded(dy[r * out + k]) * rounded(w[k * in + i]);
        }) <= 1);

  std::vector<std::byte> stored(w.size() * 2);
  for (std::size_t i = 0; i != w.size(); ++i) {
    prefer::bfloat16 const each(w[i]);
    std::memcpy(stored.data() + 2 * i, &each, 2);
  }
  std::vector<float> again(rows * out);
  prefer::lm::weight_matrix<float> const as_stored(prefer::lm::tensor_type::bf16, out, in,
                                                   std::move(stored));
  multiply_by_weights(how, rows, x.data(), as_stored, again.data(), false);
  CHECK(again == y);
}

/// Rows alone and among others have the same bits at the sizes of a model too, where a library cuts a deep sum into parts by
/// how many rows there are: a bit of a sum is a step of bfloat16 in the next layer's input, and hundredths of a nat at the end.
inline void bfloat16_rows_do_not_see_each_other(products<float> by) {
  struct sizes {
    std::size_t out, in;
  };
  constexpr std::size_t most = 464;
  prefer::lm::arithmetic<float> how{by};
  how.weights = prefer::lm::compute_type::bf16;
  for (auto const& s : {sizes{130, 50}, sizes{16, 576}, sizes{576, 1536}, sizes{1536, 576}}) {
    auto const x = numbers<float>(most * s.in, 1);
    auto const dy = numbers<float>(most * s.out, 2);
    auto const w = numbers<float>(s.out * s.in, 3);
    auto const weights = prefer::lm::weights_at(s.out, s.in, w.data());
    for (bool const add : {false, true}) {
      auto const y_before = numbers<float>(most * s.out, 4);
      auto const dx_before = numbers<float>(most * s.in, 5);
      auto y = y_before, dx = dx_before;
      multiply_by_weights(how, most, x.data(), weights, y.data(), add);
      multiply_back_by_weights(how, most, dy.data(), weights, dx.data(), add);
      for (std::size_t const count : {1U, 16U, 33U, 80U, 112U, 208U, 256U, 432U}) {
        std::size_t const first = most - count;
        std::vector<float> some(y_before.end() - static_cast<std::ptrdiff_t>(count * s.out),
                                y_before.end());
        std::vector<float> back(dx_before.end() - static_cast<std::ptrdiff_t>(count * s.in),
                                dx_before.end());
        multiply_by_weights(how, count, x.data() + first * s.in, weights, some.data(), add);
        multiply_back_by_weights(how, count, dy.data() + first * s.out, weights, back.data(), add);
        INFO(count << " rows of " << s.out << " x " << s.in << (add ? ", added" : ""));
        CHECK(std::memcmp(some.data(), y.data() + first * s.out, some.size() * sizeof(float)) == 0);
        CHECK(std::memcmp(back.data(), dx.data() + first * s.in, back.size() * sizeof(float)) == 0);
      }
    }
  }
}

}  // namespace product_facts
