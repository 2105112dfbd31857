// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include <prefer/model/matrix_product.hpp>

#include "choice_policy.hpp"

using namespace prefer;

namespace {

// A [rows, depth] with its elements `step` apart, B [depth, columns], C [rows, columns], strides
// beyond need.
template <class T>
struct operands {
  std::size_t rows, columns, depth, step;
  std::size_t a_row = step == 1 ? depth + 3 : 1;
  std::size_t b_stride = columns + 5;
  std::size_t c_stride = columns + 7;
  std::vector<T> a = test::numbers<T>((rows + 1) * (depth + 3) * (step + 1), 1);
  std::vector<T> b = test::numbers<T>(depth * b_stride + lane<T>::width, 2);
  std::vector<T> c = test::numbers<T>(rows * c_stride, 3);

  matrix_product<T> product(T* to) const {
    return {.rows = rows,
            .columns = columns,
            .depth = depth,
            .step = step,
            .right = b.data(),
            .right_stride = b_stride,
            .from = c.data(),
            .from_stride = c_stride,
            .to = to,
            .to_stride = c_stride};
  }
  T const* left(std::size_t r) const { return a.data() + r * a_row; }
};

template <class T>
void check_product(std::size_t rows, std::size_t columns, std::size_t depth, std::size_t step) {
  operands<T> const o{rows, columns, depth, step};
  T const untouched = T(123);
  std::vector<T> to(o.c.size(), untouched);
  add_product<T>(o.product(to.data()), [&](std::size_t r) { return o.left(r); });
  std::size_t wrong = 0;
  for (std::size_t r = 0; r != rows; ++r) {
    for (std::size_t c = 0; c != o.c_stride; ++c) {
      T const computed = to[r * o.c_stride + c];
      if (c >= columns) {
        wrong += computed != untouched;
        continue;
      }
      long double expected = o.c[r * o.c_stride + c];
      for (std::size_t k = 0; k != depth; ++k) {
        expected += static_cast<long double>(o.left(r)[k * step]) * o.b[k * o.b_stride + c];
      }
      // Every one of depth additions rounds a sum that is at most depth + 1.
      long double const bound =
          static_cast<long double>((depth + 1) * (depth + 1)) * std::numeric_limits<T>::epsilon();
      wrong += std::fabs(static_cast<long double>(computed) - expected) > bound;
    }
  }
  INFO(rows << " x " << columns << " x " << depth << ", step " << step);
  CHECK(wrong == 0);
}

}  // namespace

TEMPLATE_TEST_CASE("matrix_product: agrees with three loops for any size",
                   "[policy][matrix_product]", float, double) {
  for (std::size_t const rows : {1u, 2u, 5u, 6u, 7u, 13u}) {
    for (std::size_t const columns : {1u, 2u, 7u, 8u, 16u, 17u, 33u, 48u, 63u, 64u, 65u, 130u}) {
      for (std::size_t const depth : {0u, 1u, 3u, 40u}) {
        check_product<TestType>(rows, columns, depth, 1);
        check_product<TestType>(rows, columns, depth, rows + 2);
      }
    }
  }
}

TEMPLATE_TEST_CASE("matrix_product: bits do not depend on cuts of rows, columns and depth",
                   "[policy][matrix_product]", float, double) {
  using T = TestType;
  operands<T> const o{13, 75, 29, 1};
  std::vector<T> whole = o.c;
  add_product<T>(o.product(whole.data()), [&](std::size_t r) { return o.left(r); });

  std::vector<T> cut = o.c;
  for (std::size_t r = 0; r != 13; ++r) {
    for (std::size_t c = 0; c != 75; c += 3) {
      for (std::size_t k = 0; k < 29; k += 10) {
        auto p = o.product(cut.data() + r * o.c_stride + c);
        p.rows = 1;
        p.columns = 3;
        p.depth = detail::at_most(10, 29 - k);
        p.right += k * o.b_stride + c;
        p.from = p.to;
        add_product<T>(p, [&](std::size_t) { return o.left(r) + k; });
      }
    }
  }
  CHECK(test::same_bytes(whole, cut));
}

TEST_CASE("matrix_product: one row can start all", "[policy][matrix_product]") {
  std::vector<float> const bias = {1, 2, 3};
  std::vector<float> const a = {1, 10};
  std::vector<float> const b(3 + lane<float>::width, 0.5f);
  std::vector<float> to(6);
  add_product<float>({.rows = 2,
                      .columns = 3,
                      .depth = 1,
                      .right = b.data(),
                      .right_stride = 3,
                      .from = bias.data(),
                      .from_stride = 0,
                      .to = to.data(),
                      .to_stride = 3},
                     [&](std::size_t r) { return a.data() + r; });
  CHECK(to == std::vector<float>{1.5f, 2.5f, 3.5f, 6, 7, 8});
}

TEMPLATE_TEST_CASE("matrix_product: dot and add_scaled agree with loops",
                   "[policy][matrix_product]", float, double) {
  using T = TestType;
  for (std::size_t n = 0; n != 140; ++n) {
    auto const a = test::numbers<T>(n, 4);
    auto const b = test::numbers<T>(n, 5);
    auto c = test::numbers<T>(n + 1, 6);
    auto const before = c;
    long double expected = 0;
    for (std::size_t k = 0; k != n; ++k) expected += static_cast<long double>(a[k]) * b[k];
    double const tolerance =
        static_cast<double>(n + 1) * static_cast<double>(std::numeric_limits<T>::epsilon());
    CHECK(static_cast<double>(detail::dot(a.data(), b.data(), n)) ==
          Approx(static_cast<double>(expected)).margin(tolerance));
    detail::add_scaled(c.data(), T(0.75), a.data(), n);
    for (std::size_t k = 0; k != n; ++k) {
      CHECK(static_cast<double>(c[k]) ==
            Approx(static_cast<double>(before[k]) + 0.75 * static_cast<double>(a[k]))
                .margin(tolerance));
    }
    CHECK(c[n] == before[n]);
  }
}

TEMPLATE_TEST_CASE("matrix_product: transpose swaps rows and columns", "[policy][matrix_product]",
                   float, double) {
  using T = TestType;
  for (std::size_t const rows : {1u, 4u, 15u, 16u, 50u, 64u}) {
    for (std::size_t const columns : {1u, 3u, 16u, 37u, 64u}) {
      auto const from = test::numbers<T>(rows * (columns + 2), 7);
      std::vector<T> to(columns * (rows + 1), T(9));
      detail::transpose(rows, columns, from.data(), columns + 2, to.data(), rows + 1);
      std::size_t wrong = 0;
      for (std::size_t c = 0; c != columns; ++c) {
        for (std::size_t r = 0; r != rows; ++r) {
          wrong += to[c * (rows + 1) + r] != from[r * (columns + 2) + c];
        }
        wrong += to[c * (rows + 1) + rows] != T(9);
      }
      CHECK(wrong == 0);
    }
  }
}
