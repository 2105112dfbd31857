// SPDX-License-Identifier: MIT
#include <prefer/adapters/cuda/linear_log_prob.cuh>

#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include <prefer/model/row_statistics.hpp>

#include "laws/problem.hpp"
#include "support/near.hpp"

// How far a policy is from its reference, position by position, in the pass that makes log-probabilities: against the
// functions that the models of the host use, in double, and the derivatives against central differences of those.

namespace {

using prefer::bfloat16;
using prefer::half;
using namespace prefer::cuda;
using Catch::Matchers::Contains;

constexpr cudaStream_t stream = nullptr;
constexpr float infinity = std::numeric_limits<float>::infinity();

using row = std::vector<double>;

/// KL(a || b), from the row's normalisers.
double kl(row const& a, row const& b) {
  std::span<double const> const of(a), from(b);
  return prefer::row_divergence(from, prefer::normalise(from), of, prefer::normalise(of));
}

/// Logits of a policy, and of a reference that is some nats away from it.
template <class T>
struct task {
  std::size_t rows, vocabulary;
  std::vector<T> policy, reference;
  std::vector<std::int32_t> tokens;

  task(std::size_t n, std::size_t v, std::uint64_t seed = 7) : rows(n), vocabulary(v) {
    prefer::test::dice d(seed);
    for (std::size_t i = 0; i < n * v; ++i) {
      double const x = d.between(-10, 10);
      policy.push_back(static_cast<T>(static_cast<float>(x)));
      reference.push_back(static_cast<T>(static_cast<float>(x + 0.5 * d.between(-2, 2))));
    }
    for (std::size_t t = 0; t < n; ++t) tokens.push_back(static_cast<std::int32_t>(d.below(v)));
  }
  [[nodiscard]] row of(std::vector<T> const& logits, std::size_t t) const {
    row out;
    for (std::size_t v = 0; v < vocabulary; ++v) {
      out.push_back(double(float(logits[t * vocabulary + v])));
    }
    return out;
  }
};

/// Derivatives of a loss by what is said of each token, the same for all.
struct coefficients {
  float log_prob, divergence, reverse;
};

template <class T>
struct outcome {
  std::vector<float> log_prob, normalizer, entropy, divergence, reverse, reference_log_prob;
  std::vector<T> gradient;
};

template <class T>
outcome<T> run(task<T> const& of, coefficients const& c) {
  device_column<T> policy(std::span<T const>(of.policy), stream);
  device_column<T> const reference(std::span<T const>(of.reference), stream);
  device_column<std::int32_t> const tokens(of.tokens, stream);
  auto const room = [&] { return device_column<float>(of.rows, stream); };
  auto const each = [&](float number) {
    return device_column<float>(std::vector<float>(of.rows, number), stream);
  };
  auto log_prob = room(), normalizer = room(), entropy = room(), divergence = room(),
       reverse = room(), reference_log_prob = room(), reference_normalizer = room();
  logit_rows<T> const ours{policy.data(), of.rows, of.vocabulary};
  logit_rows<T const> const theirs{reference.data(), of.rows, of.vocabulary};
  token_log_prob(as_const(ours), theirs, tokens,
                 {.log_prob = log_prob,
                  .log_normalizer = normalizer,
                  .entropy = entropy,
                  .divergence = divergence,
                  .reverse_divergence = reverse,
                  .reference_log_prob = reference_log_prob,
                  .reference_log_normalizer = reference_normalizer});
  auto const by_log_prob = each(c.log_prob), by_divergence = each(c.divergence),
             by_reverse = each(c.reverse);
  token_backward(ours, theirs, tokens, {normalizer, reference_normalizer, reverse},
                 {by_log_prob, by_divergence, by_reverse});
  return {log_prob.to_host(), normalizer.to_host(),         entropy.to_host(), divergence.to_host(),
          reverse.to_host(),  reference_log_prob.to_host(), policy.to_host()};
}

/// Terms are differences of logits of at most 1 nat, under a mean whose weights are sums of vocabulary / 256 roundings each;
/// the exponentials' arguments, of 21 nats, are rounded by 11 units.
double tolerance(std::size_t vocabulary) {
  return (static_cast<double>(vocabulary) / 256.0 + 40.0) * 0x1p-23;
}
template <class T>
constexpr double unit_of = 0x1p-22;
template <>
constexpr double unit_of<half> = 0x1p-11;
template <>
constexpr double unit_of<bfloat16> = 0x1p-8;

template <class T>
void same_as_host(std::size_t rows, std::size_t vocabulary) {
  CAPTURE(rows, vocabulary);
  task<T> const of(rows, vocabulary);
  coefficients const c{.log_prob = 0.5f, .divergence = -0.75f, .reverse = 1.25f};
  auto const got = run(of, c);
  double const within = tolerance(vocabulary);
  double worst = 0.0;
  for (std::size_t t = 0; t < rows; ++t) {
    row const ours = of.of(of.policy, t), theirs = of.of(of.reference, t);
    std::span<double const> const a(ours), b(theirs);
    auto const by = prefer::normalise(a), reference_by = prefer::normalise(b);
    double const reverse = kl(ours, theirs);
    CHECK(std::abs(got.divergence[t] - kl(theirs, ours)) <= within);
    CHECK(std::abs(got.reverse[t] - reverse) <= within);
    auto const token = static_cast<std::size_t>(of.tokens[t]);
    CHECK(std::abs(got.log_prob[t] - by.log_prob(ours[token])) <= within);
    CHECK(std::abs(got.reference_log_prob[t] - reference_by.log_prob(theirs[token])) <= within);
    // The core's own derivative of what it calls divergence, and the derivatives of the others beside it.
    std::vector<double> derivative(vocabulary);
    prefer::add_row_divergence_gradient<double>(a, by, b, reference_by, double(c.divergence),
                                                derivative);
    for (std::size_t v = 0; v < vocabulary; ++v) {
      double const log_p = by.log_prob(ours[v]), p = std::exp(log_p);
      derivative[v] += double(c.log_prob) * ((v == token ? 1.0 : 0.0) - p) +
                       double(c.reverse) * p * (log_p - reference_by.log_prob(theirs[v]) - reverse);
      double const error =
          std::abs(double(float(got.gradient[t * vocabulary + v])) - derivative[v]);
      // All three have terms of p or q, which are within 3 nats of each other.
      worst = std::fmax(worst, error / (unit_of<T> * std::abs(derivative[v]) +
                                        (1.0 + std::exp(3.0)) * p * within + 0x1p-25));
    }
  }
  CHECK(worst <= 1.0);
}

TEST_CASE("cuda: divergences and their derivatives are those of the host's models",
          "[cuda][divergence]") {
  for (std::size_t const vocabulary : {1u, 2u, 7u, 64u, 1009u, 2048u}) {
    same_as_host<float>(3, vocabulary);
    same_as_host<half>(2, vocabulary);
    same_as_host<bfloat16>(2, vocabulary);
  }
  same_as_host<bfloat16>(1, 151'936);
}

TEST_CASE("cuda: derivatives of divergences are their central differences", "[cuda][divergence]") {
  task<float> const of(1, 33);
  row const reference = of.of(of.reference, 0);
  auto const forward = run(of, {0.0f, 1.0f, 0.0f}), reverse = run(of, {0.0f, 0.0f, 1.0f});
  double const h = 1e-4;
  for (std::size_t v = 0; v < of.vocabulary; ++v) {
    row above = of.of(of.policy, 0), below = above;
    above[v] += h;
    below[v] -= h;
    // The remainder of a central difference, h^2 / 6 of a third derivative of some nats, and rounding of float.
    CHECK(std::abs(forward.gradient[v] - (kl(reference, above) - kl(reference, below)) / (2 * h)) <=
          1e-6);
    CHECK(std::abs(reverse.gradient[v] - (kl(above, reference) - kl(below, reference)) / (2 * h)) <=
          1e-6);
  }
}

TEST_CASE("cuda: closed forms of divergences", "[cuda][divergence]") {
  // Row 0: the same model, shifted, which changes no probability. Row 1: 1/2, 1/2, 0 against 1/4, 1/4, 1/2. Row 2: the
  // other way round, so that the reference says what the policy never does. Row 3: what neither says.
  task<float> of(4, 4);
  float const low = std::numeric_limits<float>::lowest();
  of.policy = {1,         2,   3,   4, 0, 0, -infinity, -infinity, 0, 0, std::log(2.0f),
               -infinity, low, low, 5, 5};
  of.reference = {4,         5,         6,   7,   0, 0, std::log(2.0f), -infinity, 0, 0,
                  -infinity, -infinity, low, low, 5, 5};
  of.tokens = {3, 0, 2, 2};
  auto const got = run(of, {0, 1, 0});
  CHECK(got.divergence[0] == 0.0f);
  CHECK(got.reverse[0] == 0.0f);
  CHECK(got.divergence[1] == infinity);
  CHECK(got.reverse[1] == Approx(std::log(2.0)));  // log((1/2) / (1/4))
  CHECK(got.divergence[2] == Approx(std::log(2.0)));
  CHECK(got.reverse[2] == infinity);
  CHECK(got.reference_log_prob[2] == -infinity);
  CHECK(got.divergence[3] == 0.0f);
  CHECK(got.entropy[3] == Approx(std::log(2.0)));
  for (std::size_t v = 0; v < 4; ++v) CHECK(std::abs(got.gradient[v]) < 1e-7f);
  CHECK(got.gradient[4 + 2] == Approx(-0.5));  // p - q
}

TEST_CASE("cuda: models that are nearly the same have divergences of their own size, none below 0",
          "[cuda][divergence]") {
  // Logits of some 10 nats that differ by 2^-10 in one place: the divergence is about p (1 - p) 2^-21, far below a rounding
  // of the logits' normalisers.
  task<float> of(4, 300);
  of.reference = of.policy;
  for (std::size_t t = 0; t < 3; ++t) {
    of.reference[t * 300 + 7] = of.policy[t * 300 + 7] = 10.0f;
    of.reference[t * 300 + 7] += 0x1p-10f;
  }
  auto const got = run(of, {0, 0, 0});
  for (std::size_t t = 0; t < 4; ++t) {
    CHECK(got.divergence[t] >= 0.0f);
    CHECK(got.reverse[t] >= 0.0f);
    // The mean of one difference of 2^-10 and the normalisers' quotient, a few units of 2^-24 from 1.
    double const exact = kl(of.of(of.reference, t), of.of(of.policy, t));
    CHECK(std::abs(got.divergence[t] - exact) <= 16 * 0x1p-24);
  }
  CHECK(got.divergence[3] == 0.0f);
}

TEST_CASE("cuda: a divergence that is asked for changes no bit of what else is said",
          "[cuda][divergence]") {
  task<bfloat16> const of(3, 512);
  auto const with = run(of, {1, 0, 0});
  device_column<bfloat16> policy(std::span<bfloat16 const>(of.policy), stream);
  device_column<std::int32_t> const tokens(of.tokens, stream);
  device_column<float> log_prob(3, stream), normalizer(3, stream), entropy(3, stream);
  logit_rows<bfloat16> const rows{policy.data(), 3, 512};
  token_log_prob(rows, tokens,
                 {.log_prob = log_prob, .log_normalizer = normalizer, .entropy = entropy});
  CHECK(log_prob.to_host() == with.log_prob);
  CHECK(entropy.to_host() == with.entropy);
  device_column<float> const one(std::vector<float>(3, 1.0f), stream);
  token_backward(rows, tokens, normalizer, one);
  auto const gradient = policy.to_host();
  std::size_t others = 0;
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    if (gradient[i].bits != with.gradient[i].bits) ++others;
  }
  CHECK(others == 0);
}

TEST_CASE("cuda: tokens that do not count are at no distance, forward and backward",
          "[cuda][divergence]") {
  task<float> of(2, 90);
  of.tokens[0] = -1;
  auto const got = run(of, {1, 1, 1});
  CHECK(got.divergence[0] == 0.0f);
  CHECK(got.reverse[0] == 0.0f);
  CHECK(got.reference_log_prob[0] == 0.0f);
  CHECK(got.divergence[1] > 0.0f);
  for (std::size_t v = 0; v < 90; ++v) CHECK(got.gradient[v] == 0.0f);
}

TEST_CASE("cuda: a row's divergence is the same bits in any batch", "[cuda][divergence]") {
  task<float> const all(4, 333);
  auto const together = run(all, {1, 1, 1});
  for (std::size_t t = 0; t < 4; ++t) {
    task<float> one(1, 333);
    auto const first = std::ptrdiff_t(t * 333);
    one.policy.assign(all.policy.begin() + first, all.policy.begin() + first + 333);
    one.reference.assign(all.reference.begin() + first, all.reference.begin() + first + 333);
    one.tokens = {all.tokens[t]};
    auto const alone = run(one, {1, 1, 1});
    CHECK(alone.divergence[0] == together.divergence[t]);
    CHECK(alone.reverse[0] == together.reverse[t]);
    CHECK(alone.gradient[5] == together.gradient[t * 333 + 5]);
  }
}

// From hidden states.

struct layers {
  std::size_t rows = 5, width = 6, reference_width = 4, vocabulary = 150;
  std::vector<float> hidden, matrix, reference_hidden, reference_matrix;
  std::vector<std::int32_t> tokens = {3, 149, -1, 77, 0};

  layers() {
    prefer::test::dice d(11);
    auto const fill = [&](std::vector<float>& to, std::size_t count) {
      for (std::size_t i = 0; i < count; ++i) to.push_back(static_cast<float>(d.between(-1, 1)));
    };
    fill(hidden, rows * width);
    fill(matrix, vocabulary * width);
    fill(reference_hidden, rows * reference_width);
    fill(reference_matrix, vocabulary * reference_width);
  }
  [[nodiscard]] static row logits(std::vector<float> const& h, std::vector<float> const& m,
                                  std::size_t width, std::size_t vocabulary, std::size_t t) {
    row out(vocabulary);
    for (std::size_t v = 0; v < vocabulary; ++v) {
      for (std::size_t k = 0; k < width; ++k) {
        out[v] += double(h[t * width + k]) * double(m[v * width + k]);
      }
    }
    return out;
  }
  [[nodiscard]] row policy(std::size_t t) const {
    return logits(hidden, matrix, width, vocabulary, t);
  }
  [[nodiscard]] row reference(std::size_t t) const {
    return logits(reference_hidden, reference_matrix, reference_width, vocabulary, t);
  }
};

struct layer_outcome {
  std::vector<float> log_prob, divergence, reverse, to_hidden, to_matrix;
  std::size_t left_out;
};
layer_outcome run(layers const& of, coefficients const& c, linear_options const& options,
                  bool with_reverse = true) {
  device_column<float> const hidden(of.hidden, stream), matrix(of.matrix, stream),
      reference_hidden(of.reference_hidden, stream), reference_matrix(of.reference_matrix, stream);
  device_column<std::int32_t> const tokens(of.tokens, stream);
  device_column<float> log_prob(of.rows, stream), divergence(of.rows, stream),
      reverse(of.rows, stream), to_hidden(of.hidden.size(), stream);
  device_column<float> to_matrix(std::vector<float>(of.matrix.size()), stream);
  output_layer<float> const ours{hidden.data(), matrix.data(), of.rows, of.width, of.vocabulary};
  output_layer<float> const theirs{reference_hidden.data(), reference_matrix.data(), of.rows,
                                   of.reference_width, of.vocabulary};
  matrix_products const products;
  auto const pass = linear_log_prob(
      products, ours, theirs, tokens,
      {.log_prob = log_prob, .divergence = divergence, .reverse_divergence = reverse}, options);
  auto const each = [&](float number) {
    return device_column<float>(std::vector<float>(of.rows, number), stream);
  };
  auto const by_log_prob = each(c.log_prob), by_divergence = each(c.divergence),
             by_reverse = each(c.reverse);
  token_coefficients coefficient{by_log_prob, by_divergence};
  if (with_reverse) coefficient.reverse_divergence = by_reverse;
  std::size_t const left_out = linear_backward(products, ours, theirs, tokens, pass, coefficient,
                                               {to_hidden.data(), to_matrix.data()}, options);
  return {log_prob.to_host(),  divergence.to_host(), reverse.to_host(),
          to_hidden.to_host(), to_matrix.to_host(),  left_out};
}

TEST_CASE("cuda: divergences from hidden states and their derivatives are those of double",
          "[cuda][divergence][linear_log_prob]") {
  layers const of;
  coefficients const c{.log_prob = 0.5f, .divergence = -0.75f, .reverse = 1.25f};
  for (std::size_t const block : {150u, 64u}) {
    CAPTURE(block);
    auto const got = run(of, c, {.vocabulary_block = block});
    std::vector<double> to_hidden(of.hidden.size()), to_matrix(of.matrix.size());
    for (std::size_t t = 0; t < of.rows; ++t) {
      if (of.tokens[t] < 0) {
        CHECK(got.divergence[t] == 0.0f);
        continue;
      }
      row const a = of.policy(t), b = of.reference(t);
      CHECK(std::abs(got.divergence[t] - kl(b, a)) <= 64 * 0x1p-23);
      CHECK(std::abs(got.reverse[t] - kl(a, b)) <= 64 * 0x1p-23);
      auto const by = prefer::normalise(std::span<double const>(a)),
                 reference_by = prefer::normalise(std::span<double const>(b));
      for (std::size_t v = 0; v < of.vocabulary; ++v) {
        double const log_p = by.log_prob(a[v]), log_q = reference_by.log_prob(b[v]);
        double const p = std::exp(log_p), q = std::exp(log_q);
        double const hit = static_cast<std::int32_t>(v) == of.tokens[t] ? 1.0 : 0.0;
        double const derivative = double(c.log_prob) * (hit - p) + double(c.divergence) * (p - q) +
                                  double(c.reverse) * p * (log_p - log_q - kl(a, b));
        for (std::size_t k = 0; k < of.width; ++k) {
          to_hidden[t * of.width + k] += derivative * double(of.matrix[v * of.width + k]);
          to_matrix[v * of.width + k] += derivative * double(of.hidden[t * of.width + k]);
        }
      }
    }
    // Derivatives of one row sum to at most some units in absolute value, hidden states and matrix are at most 1.
    double worst = 0.0;
    for (std::size_t i = 0; i < to_hidden.size(); ++i) {
      worst = std::fmax(worst, std::abs(double(got.to_hidden[i]) - to_hidden[i]));
    }
    for (std::size_t i = 0; i < to_matrix.size(); ++i) {
      worst = std::fmax(worst, std::abs(double(got.to_matrix[i]) - to_matrix[i]));
    }
    CHECK(worst <= 256 * 0x1p-24);
  }
}

TEST_CASE("cuda: blocks are left out only where the reference says little too",
          "[cuda][divergence][linear_log_prob]") {
  // Words 50 to 99 have logits 20 nats below the others' in the policy, and in the reference not.
  layers of;
  for (std::size_t t = 0; t < of.rows; ++t) {
    of.hidden[t * of.width] = of.reference_hidden[t * of.reference_width] = 1.0f;
  }
  for (std::size_t v = 0; v < of.vocabulary; ++v) {
    of.matrix[v * of.width] = v / 50 == 1 ? -20.0f : 0.0f;
    of.reference_matrix[v * of.reference_width] = 0.0f;
  }
  of.tokens = {3, 149, -1, 120, 0};
  linear_options const skips{.vocabulary_block = 50, .skip_below = 1e-5f};
  CHECK(run(of, {1, 1, 0}, skips, false).left_out == 0);
  CHECK(run(of, {1, 0, 0}, skips, false).left_out == 1);
  for (std::size_t v = 0; v < of.vocabulary; ++v) {
    of.reference_matrix[v * of.reference_width] = v / 50 == 1 ? -20.0f : 0.0f;
  }
  auto const some = run(of, {1, 1, 0}, skips, false);
  auto const all = run(of, {1, 1, 0}, {.vocabulary_block = 50}, false);
  CHECK(some.left_out == 1);
  double missed = 0.0;
  for (std::size_t i = 0; i < all.to_hidden.size(); ++i) {
    missed = std::fmax(missed, std::abs(double(all.to_hidden[i]) - double(some.to_hidden[i])));
  }
  CHECK(missed > 0.0);
  CHECK(missed <=
        (1.0 + 1.0) * 1e-5 * 50 * 20);  // coefficients, bound, words, the matrix's numbers
  CHECK_THROWS_WITH(run(of, {1, 1, 1}, skips),
                    Contains("skip_below bounds nothing of reverse_divergence"));
}

TEST_CASE("cuda: divergences are refused where nothing says from what", "[cuda][divergence]") {
  device_column<float> logits(std::vector<float>(6), stream), room(2, stream);
  device_column<std::int32_t> const ids(std::vector<std::int32_t>(2), stream);
  logit_rows<float> const rows{logits.data(), 2, 3}, others{logits.data(), 2, 2};
  CHECK_THROWS_WITH(token_log_prob(rows, ids, {.divergence = room}),
                    Contains("results compare with a reference, and no reference is given"));
  CHECK_THROWS_WITH(token_log_prob(rows, others, ids, {.divergence = room}),
                    "token_log_prob: reference.vocabulary has 2 elements, expected 3");
  CHECK_THROWS_WITH(token_backward(rows, rows, ids, {room}, {.divergence = room}),
                    Contains("token_backward: reference_log_normalizer has 0 elements"));
  output_layer<float> const layer{logits.data(), logits.data(), 2, 3, 2};
  matrix_products const products;
  auto const pass = linear_log_prob(products, layer, ids, {});
  CHECK_THROWS_WITH(
      linear_backward(products, layer, layer, ids, pass, {.divergence = room}, {logits.data()}),
      Contains("pass.reference_log_normalizer has 0 elements, expected 2"));
}

}  // namespace
