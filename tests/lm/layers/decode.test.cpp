// SPDX-License-Identifier: MIT
#include <atomic>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <limits>
#include <vector>

#include <prefer/lm/layers/key_value_cache.hpp>
#include <prefer/lm/layers/vector_products.hpp>
#include <prefer/parallel/thread_pool.hpp>

#include "numbers.hpp"

using namespace prefer;
using lm::key_value_cache;
using lm::tensor_type;
using lm::weight_matrix;
using test::normal_numbers;

namespace {

// Of quantised types every byte but scales, which are numbers near 0.
template <class T>
weight_matrix<T> stored_matrix(tensor_type type, std::size_t rows, std::size_t columns) {
  std::vector<std::byte> bytes(rows * lm::row_bytes(type, columns));
  random_stream numbers({.seed = 5});
  auto const put = [&](std::size_t at, auto number) {
    std::memcpy(&bytes[at], &number, sizeof number);
  };
  if (type == tensor_type::f32) {
    for (std::size_t i = 0; i != bytes.size(); i += 4) put(i, static_cast<float>(normal(numbers)));
  } else if (type == tensor_type::f64) {
    for (std::size_t i = 0; i != bytes.size(); i += 8) put(i, normal(numbers));
  } else if (type == tensor_type::bf16) {
    for (std::size_t i = 0; i != bytes.size(); i += 2) put(i, bfloat16(normal(numbers)));
  } else {
    for (std::byte& each : bytes) each = static_cast<std::byte>(numbers() & 0xff);
    for (std::size_t i = 0; i != bytes.size(); i += lm::block_bytes(type)) {
      put(i, half(0.02 * normal(numbers)));
    }
    if (type == tensor_type::q4_1) {
      for (std::size_t i = 2; i < bytes.size(); i += lm::block_bytes(type)) put(i, half(-0.1));
    }
  }
  return weight_matrix<T>(type, rows, columns, std::move(bytes));
}

template <class T>
struct products_of {
  std::size_t rows = 7;
  std::size_t rank = 3;
  weight_matrix<T> matrix;
  std::vector<T> in, bias, up, low, before;

  products_of(tensor_type type, std::size_t columns, std::size_t sequences)
      : matrix(stored_matrix<T>(type, rows, columns)),
        in(normal_numbers<T>(sequences * columns, 1)),
        bias(normal_numbers<T>(rows, 2)),
        up(normal_numbers<T>(rows * rank, 3)),
        low(normal_numbers<T>(sequences * rank, 4)),
        before(normal_numbers<T>(sequences * rows, 5)) {}

  // Of `count` sequences from `first` on.
  std::vector<T> multiplied(std::size_t first, std::size_t count, executor threads = {}) const {
    std::vector<T> out(before.begin() + static_cast<std::ptrdiff_t>(first * rows),
                       before.begin() + static_cast<std::ptrdiff_t>((first + count) * rows));
    lm::vector_product<T> const product{.matrix = &matrix,
                                        .in = in.data() + first * matrix.columns(),
                                        .out = out.data(),
                                        .add = true,
                                        .bias = bias,
                                        .rank = rank,
                                        .up = up.data(),
                                        .low = low.data() + first * rank};
    lm::multiply_vectors<T>({&product, 1}, count, threads);
    return out;
  }
};

template <class T>
void check_products(tensor_type type, std::size_t columns) {
  constexpr std::size_t sequences = 6;  // what goes together, and two more; rows likewise
  products_of<T> const of(type, columns, sequences);
  auto const together = of.multiplied(0, sequences);
  std::vector<T> row(columns);
  double worst = 0;
  for (std::size_t r = 0; r != of.rows; ++r) {
    of.matrix.read_rows(r, 1, row.data(), columns);
    for (std::size_t s = 0; s != sequences; ++s) {
      long double exact = static_cast<long double>(of.before[s * of.rows + r]) + of.bias[r];
      long double size = std::fabs(exact);
      auto const add = [&](long double term) { exact += term, size += std::fabs(term); };
      for (std::size_t k = 0; k != columns; ++k) {
        add(static_cast<long double>(row[k]) * of.in[s * columns + k]);
      }
      for (std::size_t k = 0; k != of.rank; ++k) {
        add(static_cast<long double>(of.up[r * of.rank + k]) * of.low[s * of.rank + k]);
      }
      auto const gap = std::fabs(static_cast<long double>(together[s * of.rows + r]) - exact);
      worst = std::fmax(worst, static_cast<double>(gap / size));
    }
  }
  INFO(lm::spelling(type) << ", " << columns << " columns");
  // A lane adds some dozens of terms, each rounded once.
  CHECK(worst < 40 * static_cast<double>(std::numeric_limits<T>::epsilon()));
  bool same = true;
  for (std::size_t s = 0; s != sequences; ++s) {
    auto const alone = of.multiplied(s, 1);
    for (std::size_t r = 0; r != of.rows; ++r) same &= alone[r] == together[s * of.rows + r];
  }
  CHECK(same);
}

// Rows of a sequence, its prompt before position `begin` and single positions after it.
template <class T>
struct attended {
  lm::attention_heads how;
  std::size_t rows;
  std::vector<T> q = normal_numbers<T>(rows * how.heads * how.head_size, 1);
  std::vector<T> k = normal_numbers<T>(rows * how.key_value_heads * how.head_size, 2);
  std::vector<T> v = normal_numbers<T>(rows * how.key_value_heads * how.head_size, 3);

  std::vector<T> at_once() const {
    std::vector<T> out(q.size());
    std::vector<T> log_sum_exp(rows * how.heads);
    std::vector<lm::token_segment> const whole = {{.rows = rows}};
    lm::attention<T>(how, whole, q, k, v, out, log_sum_exp, {});
    return out;
  }
  void write(key_value_cache<T>& to, std::size_t ahead, std::size_t row) const {
    std::size_t const width = how.key_value_heads * how.head_size;
    // The second layer, beside another one.
    to.write(0, ahead, q.data(), q.data());
    to.write(1, ahead, k.data() + row * width, v.data() + row * width);
  }
};

}  // namespace

TEST_CASE(
    "multiply_vectors: agrees with sums in long double, and a sequence has its bits in any batch",
    "[lm][vector_products]") {
  for (std::size_t const columns : {1u, 24u, 64u, 101u}) {
    check_products<float>(tensor_type::f32, columns);
    check_products<float>(tensor_type::bf16, columns);
  }
  check_products<float>(tensor_type::q8_0, 96);
  check_products<float>(tensor_type::q4_1, 64);
  check_products<double>(tensor_type::f64, 37);
  check_products<double>(tensor_type::bf16, 37);
  check_products<double>(tensor_type::q8_0, 64);
}

TEST_CASE("multiply_vectors: several products at once, on threads, are each alone",
          "[lm][vector_products]") {
  // More than one chunk of rows.
  auto const large = stored_matrix<float>(tensor_type::f32, 130, 200);
  auto const small = stored_matrix<float>(tensor_type::f32, 3, 200);
  auto const in = normal_numbers<float>(2 * 200, 1);
  auto const multiply = [&](executor threads) {
    std::vector<float> out(2 * 133);
    lm::vector_product<float> const both[] = {
        {.matrix = &large, .in = in.data(), .out = out.data()},
        {.matrix = &small, .in = in.data(), .out = out.data() + 260}};
    lm::multiply_vectors<float>(both, 2, threads);
    return out;
  };
  thread_pool pool(3);
  auto const serial = multiply({});
  CHECK(serial == multiply(pool.executor()));
  // Both matrices begin with the same numbers.
  for (std::size_t r = 0; r != 3; ++r) CHECK(serial[260 + 3 + r] == serial[130 + r]);
}

TEST_CASE("multiply_vectors: every piece of its rows is taken once, whoever takes it",
          "[lm][vector_products]") {
  thread_pool pool(3);
  for (std::size_t const pieces : {0u, 1u, 2u, 3u, 4u, 100u}) {
    std::vector<std::atomic<int>> taken(pieces);
    lm::detail::for_each_piece_in_streams(pool.executor(), pieces,
                                          [&](std::size_t piece) { ++taken[piece]; });
    for (auto const& each : taken) CHECK(each == 1);
  }
}

TEST_CASE("key_value_cache: attention to it has the bits of attention over the whole sequence",
          "[lm][key_value_cache]") {
  for (std::size_t const window : {0u, 21u}) {
    attended<float> const of{{.heads = 4, .key_value_heads = 2, .head_size = 6, .window = window},
                             140};
    auto const expected = of.at_once();
    key_value_cache<float> prompt(2, of.how);
    prompt.make_room(100);
    for (std::size_t r = 0; r != 100; ++r) of.write(prompt, r, r);
    prompt.grow(100);
    // Two go on from one prompt, the second with other keys: neither sees the other's.
    key_value_cache<float> one = prompt;
    key_value_cache<float> other = prompt;
    std::size_t wrong = 0;
    for (std::size_t r = 100; r != 140; ++r) {
      one.make_room(1);
      other.make_room(1);
      of.write(other, 0, r - 100);
      of.write(one, 0, r);
      std::vector<float> q(2 * 24);
      std::vector<float> out(2 * 24);
      for (std::size_t i = 0; i != 24; ++i) q[24 + i] = of.q[r * 24 + i];
      key_value_cache<float> const* const sequences[] = {&other, &one};
      lm::attend_to_cache<float>(sequences, 1, q, out, {});
      for (std::size_t i = 0; i != 24; ++i) wrong += out[24 + i] != expected[r * 24 + i];
      one.grow(1);
      other.grow(1);
    }
    CHECK(wrong == 0);
    CHECK(prompt.size() == 100);
    CHECK(one.size() == 140);
  }
}
