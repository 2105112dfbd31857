// SPDX-License-Identifier: MIT
#include <prefer/adapters/cuda/token_log_prob.cuh>

#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "laws/problem.hpp"

// Log-probabilities of tokens on a device against sums in double on the host, for each type of logits.

namespace {

using prefer::bfloat16;
using prefer::half;
using namespace prefer::cuda;
using Catch::Matchers::Contains;

constexpr cudaStream_t stream = nullptr;
constexpr float infinity = std::numeric_limits<float>::infinity();

/// What double says of one row of logits.
struct row_on_host {
  double log_normalizer, entropy = 0.0, sum_of_squares = 0.0;

  template <class T>
  row_on_host(T const* x, std::size_t vocabulary) {
    double largest = -std::numeric_limits<double>::infinity();
    for (std::size_t v = 0; v < vocabulary; ++v) largest = std::fmax(largest, double(float(x[v])));
    double sum = 0.0;
    for (std::size_t v = 0; v < vocabulary; ++v) sum += std::exp(double(float(x[v])) - largest);
    log_normalizer = largest + std::log(sum);
    for (std::size_t v = 0; v < vocabulary; ++v) {
      double const log_p = double(float(x[v])) - log_normalizer;
      double const p = std::exp(log_p);
      if (p > 0.0) entropy -= p * log_p;
      sum_of_squares += p * p;
    }
  }
};

/// Logits between -20 and 20, and tokens.
template <class T>
struct task {
  std::size_t rows, vocabulary;
  std::vector<T> logits;
  std::vector<std::int32_t> tokens;

  task(std::size_t n, std::size_t v, std::uint64_t seed = 3) : rows(n), vocabulary(v) {
    prefer::test::dice d(seed);
    for (std::size_t i = 0; i < n * v; ++i) {
      logits.push_back(static_cast<T>(static_cast<float>(d.between(-20, 20))));
    }
    for (std::size_t t = 0; t < n; ++t) tokens.push_back(static_cast<std::int32_t>(d.below(v)));
  }
};

template <class T>
struct outcome {
  std::vector<float> log_prob, log_normalizer, entropy, sum_of_squares;
  std::vector<T> gradient;
};

template <class T>
outcome<T> run(task<T> const& of, std::vector<float> const& coefficient, bool more = true) {
  device_column<T> logits(std::span<T const>(of.logits), stream);
  device_column<std::int32_t> const tokens(of.tokens, stream);
  device_column<float> log_prob(of.rows, stream), normalizer(of.rows, stream);
  device_column<float> entropy(of.rows, stream), squares(of.rows, stream);
  logit_rows<T> const rows{logits.data(), of.rows, of.vocabulary};
  token_results results{.log_prob = log_prob, .log_normalizer = normalizer};
  if (more) {
    results.entropy = entropy;
    results.sum_of_squares = squares;
  }
  token_log_prob(rows, tokens, results);
  device_column<float> const c(coefficient, stream);
  token_backward(rows, tokens, normalizer, c);
  outcome<T> out{log_prob.to_host(), normalizer.to_host(), {}, {}, logits.to_host()};
  if (more) {
    out.entropy = entropy.to_host();
    out.sum_of_squares = squares.to_host();
  }
  return out;
}

/// Each thread adds vocabulary / 256 terms, each with an error of some units in the last place of float, and the argument
/// of an exponential, at most 40 nats here, is rounded: by 20 units of 2^-23 at most.
double tolerance(std::size_t vocabulary) {
  return (static_cast<double>(vocabulary) / 256.0 + 40.0) * 0x1p-24;
}
template <class T>
constexpr double unit_of = 0x1p-22;  // a few roundings of float
template <>
constexpr double unit_of<half> = 0x1p-11;
template <>
constexpr double unit_of<bfloat16> = 0x1p-8;

template <class T>
void same_as_double(std::size_t rows, std::size_t vocabulary) {
  CAPTURE(rows, vocabulary);
  task<T> const of(rows, vocabulary);
  std::vector<float> coefficient(rows);
  for (std::size_t t = 0; t < rows; ++t) coefficient[t] = 0.5f - static_cast<float>(t % 3);
  auto const got = run(of, coefficient);
  double const within = tolerance(vocabulary);
  double worst = 0.0;  // of the gradient, in the units that it is compared in
  for (std::size_t t = 0; t < rows; ++t) {
    CAPTURE(t);
    T const* const x = of.logits.data() + t * vocabulary;
    row_on_host const here(x, vocabulary);
    CHECK(std::abs(got.log_normalizer[t] - here.log_normalizer) <= within + 40 * 0x1p-24);
    double const log_prob = double(float(x[of.tokens[t]])) - here.log_normalizer;
    CHECK(std::abs(got.log_prob[t] - log_prob) <= within + 80 * 0x1p-24);
    // Both sums have the error of their terms, which are at most 40 nats each.
    CHECK(std::abs(got.entropy[t] - here.entropy) <= 40.0 * within);
    CHECK(std::abs(got.sum_of_squares[t] - here.sum_of_squares) <= 4.0 * within);
    for (std::size_t v = 0; v < vocabulary; ++v) {
      double const p = std::exp(double(float(x[v])) - here.log_normalizer);
      bool const hit = static_cast<std::int32_t>(v) == of.tokens[t];
      double const derivative = coefficient[t] * ((hit ? 1.0 : 0.0) - p);
      double const error = std::abs(double(float(got.gradient[t * vocabulary + v])) - derivative);
      worst = std::fmax(worst,
                        error / (unit_of<T> * std::abs(derivative) + 2.0 * within * p + 0x1p-25));
    }
  }
  CHECK(worst <= 1.0);
}

TEST_CASE("cuda: token_log_prob and its derivative are those of double, for any shape",
          "[cuda][token_log_prob]") {
  // In packs and number by number, more threads than numbers, one number, several rounds.
  for (std::size_t const vocabulary : {1u, 2u, 7u, 64u, 257u, 1009u, 2048u, 5000u}) {
    same_as_double<float>(3, vocabulary);
    same_as_double<half>(2, vocabulary);
    same_as_double<bfloat16>(2, vocabulary);
  }
}

TEST_CASE("cuda: token_log_prob over a vocabulary of today's models", "[cuda][token_log_prob]") {
  same_as_double<bfloat16>(2, 151'936);
  same_as_double<float>(1, 151'936);
}

TEST_CASE("cuda: a row's numbers are the same bits in any batch", "[cuda][token_log_prob]") {
  task<float> const all(5, 777);
  auto const together = run(all, {1, 1, 1, 1, 1});
  for (std::size_t t = 0; t < 5; ++t) {
    task<float> one(1, 777);
    one.logits.assign(all.logits.begin() + std::ptrdiff_t(t * 777),
                      all.logits.begin() + std::ptrdiff_t((t + 1) * 777));
    one.tokens = {all.tokens[t]};
    auto const alone = run(one, {1});
    CHECK(alone.log_prob[0] == together.log_prob[t]);
    CHECK(alone.entropy[0] == together.entropy[t]);
    CHECK(alone.gradient[5] == together.gradient[t * 777 + 5]);
  }
}

TEST_CASE("cuda: entropy and squares that nobody asks for change nothing",
          "[cuda][token_log_prob]") {
  task<half> const of(2, 512);
  CHECK(run(of, {1, 1}, false).log_prob == run(of, {1, 1}, true).log_prob);
}

TEST_CASE("cuda: closed forms of a softmax", "[cuda][token_log_prob]") {
  // Equal logits: log V nats of entropy and 1/V; a masked vocabulary: only what is left counts; one certain token: nothing.
  task<float> of(4, 256);
  for (std::size_t v = 0; v < 256; ++v) {
    of.logits[v] = 7.0f;
    of.logits[256 + v] = v < 4 ? -3.0f : -infinity;
    of.logits[512 + v] = v == 9 ? 300.0f : -300.0f;
    of.logits[768 + v] = v == 0 ? -infinity : 0.0f;
  }
  of.tokens = {100, 3, 9, 0};
  auto const got = run(of, {1, 1, 1, 1});
  CHECK(got.log_prob[0] == Approx(-std::log(256.0)));
  CHECK(got.entropy[0] == Approx(std::log(256.0)));
  CHECK(got.sum_of_squares[0] == Approx(1.0 / 256));
  CHECK(got.log_prob[1] == Approx(-std::log(4.0)));
  CHECK(got.entropy[1] == Approx(std::log(4.0)));
  CHECK(got.gradient[256 + 3] == Approx(0.75));
  CHECK(got.gradient[256 + 4] == 0.0f);  // masked
  CHECK(got.log_prob[2] == 0.0f);
  CHECK(got.entropy[2] == 0.0f);
  CHECK(got.sum_of_squares[2] == 1.0f);
  CHECK(got.log_prob[3] == -infinity);  // a token that was masked
}

TEST_CASE("cuda: logits masked by the lowest number add nothing, before what counts or after",
          "[cuda][token_log_prob]") {
  // Each thread sees masked ones first in one row, and last in the other.
  task<float> of(2, 2048);
  float const lowest = std::numeric_limits<float>::lowest();
  for (std::size_t v = 0; v < 2048; ++v) {
    of.logits[v] = v < 1024 ? lowest : 2.0f;
    of.logits[2048 + v] = v < 1024 ? 2.0f : lowest;
  }
  of.tokens = {1024, 0};
  auto const got = run(of, {1, 1});
  for (std::size_t t = 0; t < 2; ++t) {
    CHECK(got.log_prob[t] == Approx(-std::log(1024.0)));
    CHECK(got.entropy[t] == Approx(std::log(1024.0)));
    CHECK(got.sum_of_squares[t] == Approx(1.0 / 1024));
  }
}

TEST_CASE("cuda: NaN shows, in its own row", "[cuda][token_log_prob]") {
  task<bfloat16> of(2, 300);
  of.logits[7] = static_cast<bfloat16>(std::numeric_limits<float>::quiet_NaN());
  auto const got = run(of, {1, 1});
  CHECK(std::isnan(got.log_prob[0]));
  CHECK(std::isnan(got.entropy[0]));
  CHECK(std::isfinite(got.log_prob[1]));
}

TEST_CASE("cuda: tokens that do not count are 0, forward and backward", "[cuda][token_log_prob]") {
  task<float> of(3, 100);
  of.tokens[1] = -100;
  auto const got = run(of, {1, 1, 0});
  CHECK(got.log_prob[1] == 0.0f);
  CHECK(got.log_prob[2] < 0.0f);
  for (std::size_t v = 0; v < 100; ++v) {
    CHECK(got.gradient[100 + v] == 0.0f);
    CHECK(got.gradient[200 + v] == 0.0f);  // its coefficient is 0
  }
}

TEST_CASE("cuda: tokens add up to completions, empty ones to 0, and coefficients go back",
          "[cuda][token_log_prob]") {
  std::vector<float> numbers(100);
  for (std::size_t t = 0; t < numbers.size(); ++t) numbers[t] = static_cast<float>(t);
  device_column<float> const of_tokens(numbers, stream);
  list_offsets const offset({0, 0, 3, 3, 99, 100, 100}, stream);
  device_column<double> sums(6, stream);
  sum_over_tokens(of_tokens, offset, sums);
  CHECK(sums.to_host() == std::vector<double>{0, 3, 0, 98 * 99 / 2 - 3, 99, 0});
  device_column<float> back(100, stream);
  spread_over_tokens(sums, offset, back);
  auto const got = back.to_host();
  CHECK(got[0] == 3.0f);
  CHECK(got[98] == 4848.0f);
  CHECK(got[99] == 99.0f);
}

TEST_CASE("cuda: token_log_prob refuses what does not fit", "[cuda][token_log_prob]") {
  device_column<float> logits(std::vector<float>(6), stream), room(2, stream);
  device_column<float> const no_ids(std::vector<float>(2), stream);
  device_column<std::int32_t> const ids(std::vector<std::int32_t>(3), stream);
  logit_rows<float> const rows{logits.data(), 2, 3};
  CHECK_THROWS_WITH(token_log_prob(rows, ids, {.log_prob = room}),
                    "token_log_prob: tokens has 3 elements, expected 2");
  CHECK_THROWS_WITH(token_log_prob(rows, no_ids, {.log_prob = room}),
                    Contains("stored as 32-bit integers"));
  list_offsets const offset({0, 3}, stream);
  CHECK_THROWS_WITH(sum_over_tokens(no_ids, offset, room), Contains("ascend from 0 to"));
}

}  // namespace
