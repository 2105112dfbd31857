// SPDX-License-Identifier: MIT
#include <prefer/adapters/cuda/linear_log_prob.cuh>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "laws/problem.hpp"

// Log-probabilities from hidden states and the output matrix, with their derivatives, against double on the host.

namespace {

using prefer::bfloat16;
using prefer::half;
using namespace prefer::cuda;

constexpr cudaStream_t stream = nullptr;

/// Hidden states and a matrix whose logits are some nats, exact in every type.
template <class T>
struct task {
  std::size_t rows, width, vocabulary;
  std::vector<T> hidden, matrix;
  std::vector<std::int32_t> tokens;
  std::vector<float> coefficient;

  task(std::size_t n, std::size_t w, std::size_t v) : rows(n), width(w), vocabulary(v) {
    prefer::test::dice d(5);
    auto const eighth = [&] { return static_cast<T>(static_cast<float>(d.between(-8, 8)) / 8); };
    for (std::size_t i = 0; i < n * w; ++i) hidden.push_back(eighth());
    for (std::size_t i = 0; i < v * w; ++i) matrix.push_back(eighth());
    for (std::size_t t = 0; t < n; ++t) {
      tokens.push_back(static_cast<std::int32_t>(d.below(v)));
      coefficient.push_back(0.25f * static_cast<float>(t % 3) - 0.5f);
    }
    if (n > 2) tokens[1] = -1;
  }
};

struct numbers {
  std::vector<float> log_prob, entropy, squares, hidden, matrix;
  std::size_t left_out = 0;
};

template <class T>
numbers on_the_device(task<T> const& of, linear_options const& options) {
  device_column<T> const hidden(of.hidden, stream), matrix(of.matrix, stream);
  device_column<std::int32_t> const tokens(of.tokens, stream);
  device_column<float> const coefficient(of.coefficient, stream);
  device_column<float> log_prob(of.rows, stream), entropy(of.rows, stream),
      squares(of.rows, stream);
  device_column<float> to_hidden(of.hidden.size(), stream);
  device_column<float> to_matrix(std::vector<float>(of.matrix.size(), 1.0f), stream);  // added to
  output_layer<T> const layer{hidden.data(), matrix.data(), of.rows, of.width, of.vocabulary};
  matrix_products const products;
  auto const pass = linear_log_prob(
      products, layer, tokens,
      {.log_prob = log_prob, .entropy = entropy, .sum_of_squares = squares}, options);
  std::size_t const left_out = linear_backward(products, layer, tokens, pass, coefficient,
                                               {to_hidden.data(), to_matrix.data()}, options);
  return {log_prob.to_host(),  entropy.to_host(),   squares.to_host(),
          to_hidden.to_host(), to_matrix.to_host(), left_out};
}

struct exact_numbers {
  std::vector<double> log_prob, entropy, squares, hidden, matrix;
};
template <class T>
exact_numbers on_the_host(task<T> const& of) {
  exact_numbers out{std::vector<double>(of.rows), std::vector<double>(of.rows),
                    std::vector<double>(of.rows), std::vector<double>(of.hidden.size()),
                    std::vector<double>(of.matrix.size(), 1.0)};
  for (std::size_t t = 0; t < of.rows; ++t) {
    std::vector<double> p(of.vocabulary);
    double sum = 0.0;
    for (std::size_t v = 0; v < of.vocabulary; ++v) {
      for (std::size_t k = 0; k < of.width; ++k) {
        p[v] +=
            double(float(of.hidden[t * of.width + k])) * double(float(of.matrix[v * of.width + k]));
      }
      sum += std::exp(p[v]);
    }
    double const normalizer = std::log(sum);
    bool const counts = of.tokens[t] >= 0;
    if (counts) out.log_prob[t] = p[static_cast<std::size_t>(of.tokens[t])] - normalizer;
    for (std::size_t v = 0; v < of.vocabulary; ++v) {
      double const log_p = p[v] - normalizer;
      p[v] = std::exp(log_p);
      out.entropy[t] -= p[v] * log_p;
      out.squares[t] += p[v] * p[v];
      double const hit = static_cast<std::int32_t>(v) == of.tokens[t] ? 1.0 : 0.0;
      double const derivative = counts ? double(of.coefficient[t]) * (hit - p[v]) : 0.0;
      for (std::size_t k = 0; k < of.width; ++k) {
        out.hidden[t * of.width + k] += derivative * double(float(of.matrix[v * of.width + k]));
        out.matrix[v * of.width + k] += derivative * double(float(of.hidden[t * of.width + k]));
      }
    }
  }
  return out;
}

void near_all(std::vector<float> const& got, std::vector<double> const& exact, double within) {
  REQUIRE(got.size() == exact.size());
  double worst = 0.0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    worst = std::fmax(worst, std::abs(double(got[i]) - exact[i]));
  }
  CHECK(worst <= within);
}

/// `unit`: the rounding of a derivative to T, which is at most 1/2 and meets numbers of a matrix of at most 1.
template <class T>
void same_as_double(task<T> const& of, double unit, linear_options const& options) {
  CAPTURE(of.rows, of.vocabulary, options.vocabulary_block);
  auto const got = on_the_device(of, options);
  auto const exact = on_the_host(of);
  // Logits of some 10 nats are sums of `width` products; the sums of exponentials have vocabulary / 256 terms a thread.
  double const within = (static_cast<double>(of.vocabulary) / 256.0 + 60.0) * 0x1p-23;
  near_all(got.log_prob, exact.log_prob, within);
  near_all(got.entropy, exact.entropy, 20.0 * within);
  near_all(got.squares, exact.squares, 4.0 * within);
  // Probabilities sum to 1, so a row's derivatives are rounded by unit * (1/2 + 1/2) together.
  near_all(got.hidden, exact.hidden, unit + 4.0 * within);
  near_all(got.matrix, exact.matrix, static_cast<double>(of.rows) * (unit + 2.0 * within) / 2.0);
  CHECK(got.left_out == 0);
}

TEST_CASE("cuda: linear_log_prob and its derivatives are those of double, in blocks of any size",
          "[cuda][linear_log_prob]") {
  task<float> const of(5, 12, 1003);
  for (std::size_t const block : {1003u, 5000u, 256u}) {
    same_as_double(of, 0x1p-23, {.vocabulary_block = block});
  }
  same_as_double(task<float>(3, 5, 40), 0x1p-23, {.vocabulary_block = 7});
  same_as_double(task<float>(1, 1, 1), 0x1p-23, {});
}

TEST_CASE("cuda: linear_log_prob from 16 bits adds up in float32", "[cuda][linear_log_prob]") {
  same_as_double(task<half>(4, 16, 600), 0x1p-11, {.vocabulary_block = 128});
  same_as_double(task<bfloat16>(4, 16, 600), 0x1p-8, {.vocabulary_block = 128});
}

TEST_CASE(
    "cuda: a row's log-probability and gradient from hidden states are the same bits in any batch",
    "[cuda][linear_log_prob]") {
  // Thirds, so that another order of a sum is another sum; cuBLASLt's twin, as it, chooses an order for each shape: for 8
  // rows not that for 1.
  task<float> all(8, 40, 300);
  for (auto* const numbers : {&all.hidden, &all.matrix}) {
    for (float& each : *numbers) each /= 3.0f;
  }
  auto const together = on_the_device(all, {.vocabulary_block = 128});
  for (std::size_t const t : {0u, 2u, 7u}) {
    task<float> one = all;
    one.rows = 1;
    auto const first = all.hidden.begin() + static_cast<std::ptrdiff_t>(t * all.width);
    one.hidden.assign(first, first + static_cast<std::ptrdiff_t>(all.width));
    one.tokens = {all.tokens[t]};
    one.coefficient = {all.coefficient[t]};
    auto const alone = on_the_device(one, {.vocabulary_block = 128});
    CHECK(alone.log_prob[0] == together.log_prob[t]);
    CHECK(alone.entropy[0] == together.entropy[t]);
    CHECK(std::equal(alone.hidden.begin(), alone.hidden.end(),
                     together.hidden.begin() + static_cast<std::ptrdiff_t>(t * all.width)));
  }
}

TEST_CASE("cuda: blocks of small probabilities are left out, and what that costs is bounded",
          "[cuda][linear_log_prob]") {
  // Blocks 2 and 5 of 8 have logits 20 nats below the others': all hidden states have a 1 in front, the matrix a -20.
  task<float> of(6, 8, 512);
  for (std::size_t t = 0; t < of.rows; ++t) {
    of.hidden[t * 8] = 1.0f;
    of.tokens[t] = static_cast<std::int32_t>(t);
  }
  for (std::size_t v = 0; v < of.vocabulary; ++v) {
    of.matrix[v * 8] = v / 64 == 2 || v / 64 == 5 ? -20.0f : 0.0f;
  }
  float const bound = 1e-6f;
  auto const all = on_the_device(of, {.vocabulary_block = 64});
  auto const some = on_the_device(of, {.vocabulary_block = 64, .skip_below = bound});
  CHECK(all.left_out == 0);
  CHECK(some.left_out == 2);
  CHECK(some.log_prob == all.log_prob);  // forward leaves nothing out
  double missed = 0.0;
  for (std::size_t i = 0; i < all.hidden.size(); ++i) {
    missed = std::fmax(missed, std::abs(double(all.hidden[i]) - double(some.hidden[i])));
  }
  CHECK(missed > 0.0);
  CHECK(missed <=
        0.5 * double(bound) * 128 * 20);  // |coefficient| * bound * sum of |matrix| of 128 words
  // A token in such a block keeps it.
  of.tokens[0] = 2 * 64 + 3;
  CHECK(on_the_device(of, {.vocabulary_block = 64, .skip_below = bound}).left_out == 1);
  // Rows that do not count do not: without them all of block 2 is small again.
  of.coefficient[0] = 0.0f;
  CHECK(on_the_device(of, {.vocabulary_block = 64, .skip_below = bound}).left_out == 2);
}

TEST_CASE("cuda: linear_log_prob refuses what does not fit", "[cuda][linear_log_prob]") {
  device_column<float> const hidden(std::vector<float>(6), stream),
      matrix(std::vector<float>(9), stream);
  device_column<std::int32_t> const tokens(std::vector<std::int32_t>(1), stream);
  output_layer<float> const layer{hidden.data(), matrix.data(), 2, 3, 3};
  matrix_products const products;
  CHECK_THROWS_WITH((void)linear_log_prob(products, layer, tokens, {}),
                    "linear_log_prob: tokens has 1 elements, expected 2");
}

}  // namespace
