// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <prefer/lm/arithmetic/eigen_products.hpp>
#include <prefer/lm/arithmetic/linear_backward.hpp>
#include <prefer/lm/arithmetic/linear_log_prob.hpp>
#include <prefer/parallel/thread_pool.hpp>
#include <string>
#include <vector>

#include "lm/arithmetic/whole_logits.hpp"

namespace lm = prefer::lm;
using std::size_t;
using whole_logits::layer_in_memory;

namespace {

lm::arithmetic<double> const plain{lm::eigen_products};
constexpr double infinity = std::numeric_limits<double>::infinity();

/// Rows 0 ... rows - 1, the first of which two tokens are scored from.
struct some_tokens {
  std::vector<std::uint32_t> target, row;
  some_tokens(size_t rows, size_t vocabulary) {
    for (size_t t = 0; t != rows + 1; ++t) {
      row.push_back(static_cast<std::uint32_t>(t == 0 ? 0 : t - 1));
      target.push_back(static_cast<std::uint32_t>((t * 37 + 11) % vocabulary));
    }
  }
  lm::scored_tokens view() const { return {target, row}; }
};

std::vector<double> random(size_t count, std::uint64_t step) {
  std::vector<double> out(count);
  prefer::fill_normal(std::span(out), {.seed = 77, .step = step}, 0, 1);
  return out;
}

struct gradients {
  std::vector<double> hidden, matrix, bias;
  size_t left_out = 0;
  explicit gradients(layer_in_memory<double> const& of)
      : hidden(of.hidden.size()), matrix(of.matrix.size()), bias(of.bias.size()) {}
  lm::layer_gradient<double> view() { return {hidden, matrix.data(), bias}; }
};

double worst_difference(std::vector<double> const& a, std::vector<double> const& b) {
  double worst = 0;
  for (size_t i = 0; i != a.size(); ++i) worst = std::max(worst, std::abs(a[i] - b[i]));
  return worst;
}

/// Forward and backward by coefficients of log_prob.
gradients derive(layer_in_memory<double> const& layer, some_tokens const& tokens,
                 std::vector<double> const& coefficient, lm::linear_options const& options,
                 lm::arithmetic<double> const& how = plain) {
  lm::linear_pass<double> pass;
  gradients out(layer);
  std::vector<double> log_prob(tokens.target.size());
  linear_log_prob(how, layer.view(), tokens.view(), {.log_prob = log_prob}, pass, options);
  out.left_out = linear_backward(how, layer.view(), tokens.view(), pass, {.log_prob = coefficient},
                                 out.view(), options);
  return out;
}

}  // namespace

TEST_CASE("linear_log_prob: every number is that of whole logits, whatever the block",
          "[lm][linear_log_prob]") {
  for (bool const furnished : {false, true}) {
    layer_in_memory<double> policy(9, 5, 50, 1), reference(9, 3, 50, 2);
    if (furnished) {
      policy.furnish();
      reference.furnish();
    }
    some_tokens const tokens(9, 50);
    auto const expected = whole_logits::of(policy, &reference, tokens.view(), 0.1);
    for (size_t const block : {1U, 7U, 50U, 512U}) {
      whole_logits::numbers actual(9, tokens.target.size(), true);
      lm::linear_pass<double> pass;
      linear_log_prob(plain, policy.view(), reference.view(), tokens.view(), actual.view(0.1), pass,
                      {.vocabulary_block = block});
      for (size_t column = 0; column != actual.all().size(); ++column) {
        INFO("column " << column << ", block " << block << (furnished ? ", furnished" : ""));
        CHECK(worst_difference(*actual.all()[column], *expected.all()[column]) < 1e-12);
      }
    }
  }
}

TEST_CASE("linear_log_prob: a uniform layer says log V, entropy log V, 1/V, and the first token",
          "[lm][linear_log_prob]") {
  constexpr size_t vocabulary = 700;
  layer_in_memory<double> layer(2, 3, vocabulary, 3);
  for (double& each : layer.matrix) each = 0;
  std::vector<std::uint32_t> const target = {0, 699};
  whole_logits::numbers says(2, 2, false);
  lm::linear_pass<double> pass;
  linear_log_prob(plain, layer.view(), {target}, says.view(0), pass);
  double const log_v = std::log(700.0);
  for (size_t r = 0; r != 2; ++r) {
    CHECK(says.log_prob[r] == Approx(-log_v).epsilon(1e-14));
    CHECK(says.entropy[r] == Approx(log_v).epsilon(1e-14));
    CHECK(says.sum_of_squares[r] == Approx(1 / 700.0).epsilon(1e-14));
    CHECK(says.mean_logit[r] == 0);
  }
  CHECK(says.most_likely == std::vector<double>{1, 0});  // of equal logits the first
}

TEST_CASE("linear_log_prob: a vocabulary of one token is certain, and has no derivative",
          "[lm][linear_log_prob]") {
  layer_in_memory<double> layer(2, 4, 1, 4);
  some_tokens const tokens(2, 1);
  auto const got =
      derive(layer, tokens, {1, 2, 3}, {.for_backward = lm::prepared::hidden_and_matrix});
  CHECK(worst_difference(got.hidden, std::vector<double>(8)) < 1e-14);
  CHECK(worst_difference(got.matrix, std::vector<double>(4)) < 1e-14);
  lm::linear_pass<double> pass;
  std::vector<double> log_prob(3, 1.0);
  linear_log_prob(plain, layer.view(), tokens.view(), {.log_prob = log_prob}, pass);
  CHECK(log_prob == std::vector<double>(3));
}

TEST_CASE("linear_log_prob: no rows, no work", "[lm][linear_log_prob]") {
  layer_in_memory<double> layer(0, 4, 10, 5);
  lm::linear_pass<double> pass;
  linear_log_prob(plain, layer.view(), {}, {}, pass, {.for_backward = lm::prepared::hidden});
  CHECK(linear_backward(plain, layer.view(), {}, pass, {}, {.hidden = {}}) == 0);
}

TEST_CASE(
    "linear_log_prob: a policy does not diverge from itself, nor does moving its logits move it",
    "[lm][linear_log_prob]") {
  layer_in_memory<double> layer(5, 6, 40, 6);
  some_tokens const tokens(5, 40);
  whole_logits::numbers says(5, 6, true);
  lm::linear_pass<double> pass;
  linear_log_prob(plain, layer.view(), layer.view(), tokens.view(), says.view(0.5), pass,
                  {.vocabulary_block = 16});
  CHECK(says.divergence == std::vector<double>(5));
  CHECK(says.reverse_divergence == std::vector<double>(5));
  CHECK(worst_difference(says.perturbed_away, says.log_prob) < 1e-14);
  CHECK(worst_difference(says.perturbed_toward, says.log_prob) < 1e-14);
}

TEST_CASE("linear_log_prob: logits of thousands, and tokens that cannot be, stay exact",
          "[lm][linear_log_prob]") {
  layer_in_memory<double> layer(1, 1, 4, 7);
  layer.hidden = {1};
  layer.matrix = {5000, 4999, -5000, 7000};
  layer.bias = {0, 0, 0, -infinity};
  std::vector<std::uint32_t> const target = {0, 1, 2, 3}, row = {0, 0, 0, 0};
  for (size_t const block : {1U, 2U, 4U}) {
    whole_logits::numbers says(1, 4, false);
    lm::linear_pass<double> pass;
    linear_log_prob(plain, layer.view(), {target, row}, says.view(0), pass,
                    {.vocabulary_block = block});
    double const lse = std::log1p(std::exp(-1.0));  // of 5000 and 4999, relative to the larger
    CHECK(says.log_prob[0] == Approx(-lse).epsilon(1e-11));
    CHECK(says.log_prob[1] == Approx(-1 - lse).epsilon(1e-11));
    CHECK(says.log_prob[2] == Approx(-10000 - lse).epsilon(1e-14));
    CHECK(says.log_prob[3] == -infinity);
    double const p = 1 / (1 + std::exp(-1.0));
    CHECK(says.entropy[0] == Approx(-p * std::log(p) - (1 - p) * std::log(1 - p)).epsilon(1e-11));
  }
}

TEST_CASE(
    "linear_log_prob: NaN stays in its row, and where nothing is asked of it in no derivative",
    "[lm][linear_log_prob]") {
  layer_in_memory<double> layer(3, 4, 30, 8);
  layer.hidden[4] = std::numeric_limits<double>::quiet_NaN();  // of row 1
  std::vector<std::uint32_t> const target = {3, 4, 5};
  for (auto const plan :
       {lm::prepared::nothing, lm::prepared::hidden, lm::prepared::hidden_and_matrix}) {
    lm::linear_options const options{
        .vocabulary_block = 8, .for_backward = plan, .skip_below = 1e-9};
    std::vector<double> log_prob(3);
    lm::linear_pass<double> pass;
    linear_log_prob(plain, layer.view(), {target}, {.log_prob = log_prob}, pass, options);
    CHECK(std::isfinite(log_prob[0]));
    CHECK(std::isnan(log_prob[1]));
    CHECK(std::isfinite(log_prob[2]));
    gradients got(layer);
    std::vector<double> const coefficient = {1, 0, -1};
    linear_backward(plain, layer.view(), {target}, pass, {.log_prob = coefficient}, got.view(),
                    options);
    for (double const each : got.hidden) CHECK(std::isfinite(each));
    for (double const each : got.matrix) CHECK(std::isfinite(each));
    CHECK(got.hidden[4] == 0);
  }
}

TEST_CASE("linear_backward: derivatives are those of whole logits by finite differences",
          "[lm][linear_log_prob]") {
  for (bool const furnished : {false, true}) {
    layer_in_memory<double> policy(4, 3, 20, 11), reference(4, 2, 20, 12);
    if (furnished) policy.furnish();
    some_tokens const tokens(4, 20);
    auto const of_tokens = random(5, 1), of_tokens2 = random(5, 2), of_tokens3 = random(5, 3);
    auto const of_rows = random(4, 4), of_rows2 = random(4, 5), of_rows3 = random(4, 6);
    lm::linear_coefficients<double> const coefficients{.log_prob = of_tokens,
                                                       .entropy = of_rows,
                                                       .divergence = of_rows2,
                                                       .reverse_divergence = of_rows3,
                                                       .perturbed_toward = of_tokens2,
                                                       .perturbed_away = of_tokens3};
    whole_logits::numbers says(4, 5, true);
    lm::linear_pass<double> pass;
    linear_log_prob(plain, policy.view(), reference.view(), tokens.view(), says.view(0.2), pass,
                    {.vocabulary_block = 8});
    gradients got(policy);
    linear_backward(plain, policy.view(), reference.view(), tokens.view(), pass, coefficients,
                    got.view());
    auto const check = [&](std::vector<double>& parameters, std::vector<double> const& derivative) {
      for (size_t i = 0; i != parameters.size(); ++i) {
        double const at = parameters[i], h = 1e-5;
        auto const loss = [&](double x) {
          parameters[i] = x;
          return whole_logits::loss(whole_logits::of(policy, &reference, tokens.view(), 0.2),
                                    coefficients);
        };
        double const expected = (loss(at + h) - loss(at - h)) / (2 * h);
        parameters[i] = at;
        CHECK(derivative[i] ==
              Approx(expected).margin(1e-7));  // h^2 times third derivatives of order 10^2
      }
    };
    check(policy.hidden, got.hidden);
    check(policy.matrix, got.matrix);
    check(policy.bias, got.bias);
  }
}

TEST_CASE("linear_backward: what forward prepared gives the derivatives of logits computed again",
          "[lm][linear_log_prob]") {
  for (bool const furnished : {false, true}) {
    layer_in_memory<double> layer(300, 6, 40, 13);  // more rows than a tile
    if (furnished) layer.furnish();
    some_tokens const tokens(300, 40);
    auto const coefficient = random(301, 7);
    auto const again = derive(layer, tokens, coefficient, {.vocabulary_block = 16});
    for (size_t const keep : {size_t{0}, 48 * sizeof(double) * 7, size_t{1} << 20}) {
      for (auto const plan : {lm::prepared::hidden, lm::prepared::hidden_and_matrix}) {
        auto const ready =
            derive(layer, tokens, coefficient,
                   {.vocabulary_block = 16, .for_backward = plan, .keep_bytes = keep});
        CHECK(worst_difference(ready.hidden, again.hidden) < 1e-12);
        CHECK(worst_difference(ready.matrix, again.matrix) < 1e-11);
        CHECK(worst_difference(ready.bias, again.bias) < 1e-11);
      }
    }
  }
}

TEST_CASE("linear_backward: blocks left out miss no more than the bound", "[lm][linear_log_prob]") {
  // Probabilities that fall fast: most of the vocabulary is nothing.
  layer_in_memory<double> layer(6, 1, 400, 14);
  for (double& each : layer.hidden) each = 1;
  for (size_t v = 0; v != 400; ++v) layer.matrix[v] = -0.2 * static_cast<double>(v);
  some_tokens tokens(6, 40);
  auto const coefficient = random(7, 8);
  double largest_coefficient = std::abs(coefficient[0] + coefficient[1]);
  for (size_t t = 2; t != 7; ++t) {
    largest_coefficient = std::max(largest_coefficient, std::abs(coefficient[t]));
  }
  double const bound = 1e-6;
  for (auto const plan :
       {lm::prepared::nothing, lm::prepared::hidden, lm::prepared::hidden_and_matrix}) {
    lm::linear_options options{.vocabulary_block = 20, .for_backward = plan};
    auto const all = derive(layer, tokens, coefficient, options);
    CHECK(all.left_out == 0);
    options.skip_below = bound;
    auto const some = derive(layer, tokens, coefficient, options);
    // exp(-0.2 v) (1 - exp(-0.2)) <= 1e-6 from v = 61 on: the 16 blocks from 80 on. Forward, which knows of no more than
    // the tokens' logits, leaves out as well, from 39 + 70 on at the latest.
    CHECK(some.left_out >= (plan == lm::prepared::nothing ? 16 : 16 + 14));
    // The derivative by a row of the matrix is the derivative by its logit times hidden, which is 1, summed over 6 rows.
    CHECK(worst_difference(some.matrix, all.matrix) <= 6 * largest_coefficient * bound);
    double sum_of_rows = 0;
    for (double const w : layer.matrix) sum_of_rows += std::abs(w);
    CHECK(worst_difference(some.hidden, all.hidden) <= largest_coefficient * bound * sum_of_rows);
    CHECK(worst_difference(some.hidden, all.hidden) > 0);
  }
}

TEST_CASE(
    "linear_log_prob: a row's bits, and a group's, are the same in any batch and on any threads",
    "[lm][linear_log_prob]") {
  constexpr size_t rows = 290;
  layer_in_memory<double> layer(rows, 17, 130, 15);
  std::vector<std::uint32_t> target(rows);
  for (size_t r = 0; r != rows; ++r) target[r] = static_cast<std::uint32_t>(r * 7 % 130);
  auto const coefficient = random(rows, 9);
  prefer::thread_pool pool(3);
  struct outcome {
    std::vector<double> log_prob, entropy, hidden, matrix;
  };
  auto const compute = [&](size_t first, size_t count, std::vector<size_t> const& groups,
                           prefer::executor threads, lm::prepared plan) {
    auto view = layer.view();
    view.hidden = view.hidden.subspan(first * 17, count * 17);
    lm::scored_tokens const tokens{std::span(target).subspan(first, count)};
    lm::linear_options const options{
        .vocabulary_block = 32, .for_backward = plan, .keep_bytes = 200 * 160 * 8};
    lm::arithmetic<double> const how{lm::eigen_products, threads};
    outcome out{std::vector<double>(count), std::vector<double>(count),
                std::vector<double>(count * 17), std::vector<double>(130 * 17)};
    lm::linear_pass<double> pass;
    if (plan != lm::prepared::nothing) pass.expected_row_at = out.hidden;
    linear_log_prob(how, view, tokens, {.log_prob = out.log_prob, .entropy = out.entropy}, pass,
                    options);
    linear_backward(how, view, tokens, pass,
                    {.log_prob = std::span(coefficient).subspan(first, count)},
                    {.hidden = out.hidden, .matrix = out.matrix.data(), .groups = groups}, options);
    return out;
  };
  for (auto const plan : {lm::prepared::nothing, lm::prepared::hidden_and_matrix}) {
    auto const serial = compute(0, rows, {0, 150, rows}, {}, plan);
    auto const parallel = compute(0, rows, {0, 150, rows}, pool.executor(), plan);
    CHECK(serial.log_prob == parallel.log_prob);
    CHECK(serial.matrix == parallel.matrix);
    CHECK(serial.hidden == parallel.hidden);
    auto one = compute(0, 150, {}, {}, plan);
    auto const other = compute(150, rows - 150, {}, {}, plan);
    auto const joined = [](std::vector<double> a, std::vector<double> const& b) {
      a.insert(a.end(), b.begin(), b.end());
      return a;
    };
    CHECK(joined(one.log_prob, other.log_prob) == serial.log_prob);
    CHECK(joined(one.entropy, other.entropy) == serial.entropy);
    CHECK(joined(one.hidden, other.hidden) == serial.hidden);
    // Groups are added one after the other: 0 + first + second.
    for (size_t i = 0; i != one.matrix.size(); ++i) one.matrix[i] += other.matrix[i];
    CHECK(worst_difference(one.matrix, serial.matrix) < 1e-12);
  }
}

TEST_CASE("linear_log_prob: float is double to rounding, and stored weights are their numbers",
          "[lm][linear_log_prob]") {
  constexpr size_t rows = 5, width = 64, vocabulary = 300;
  layer_in_memory<float> layer(rows, width, vocabulary, 16);
  for (float& each : layer.matrix) each *= 0.2f;
  std::vector<std::byte> stored;
  for (float& each : layer.matrix) {
    prefer::bfloat16 const rounded(each);
    each = static_cast<float>(rounded);
    std::byte bytes[2];
    std::memcpy(bytes, &rounded, 2);
    stored.insert(stored.end(), bytes, bytes + 2);
  }
  std::vector<std::uint32_t> const target = {1, 20, 140, 255, 299};
  lm::arithmetic<float> const how{lm::eigen_products};
  auto const compute = [&](lm::output_layer<float> const& of) {
    std::vector<float> log_prob(rows), hidden(rows * width), coefficient = {1, -1, 2, 0.5f, -3};
    lm::linear_options const options{.vocabulary_block = 64, .for_backward = lm::prepared::hidden};
    lm::linear_pass<float> pass;
    linear_log_prob(how, of, {target}, {.log_prob = log_prob}, pass, options);
    linear_backward(how, of, {target}, pass, {.log_prob = coefficient}, {.hidden = hidden},
                    options);
    log_prob.insert(log_prob.end(), hidden.begin(), hidden.end());
    return log_prob;
  };
  auto const got = compute(layer.view());
  auto const expected =
      whole_logits::of(layer, static_cast<layer_in_memory<float>*>(nullptr), {target}, 0);
  for (size_t r = 0; r != rows; ++r) {
    CHECK(static_cast<double>(got[r]) ==
          Approx(expected.log_prob[r]).margin(2e-5));  // 64 eps |logits|, and exp
  }
  auto as_stored = layer.view();
  as_stored.matrix = {lm::tensor_type::bf16, vocabulary, width, std::move(stored)};
  CHECK(compute(as_stored) == got);
}

TEST_CASE("linear_log_prob: what does not fit is refused with what was expected",
          "[lm][linear_log_prob]") {
  layer_in_memory<double> layer(2, 3, 10, 17);
  lm::linear_pass<double> pass;
  std::vector<std::uint32_t> target = {1, 10};
  std::vector<double> two(2);
  CHECK_THROWS_WITH(linear_log_prob(plain, layer.view(), {target}, {.log_prob = two}, pass),
                    Catch::Contains("target of token 1 is 10, expected less than 10"));
  target = {1, 2};
  CHECK_THROWS_WITH(linear_log_prob(plain, layer.view(), {target}, {.divergence = two}, pass),
                    Catch::Contains("no reference is given"));
  linear_log_prob(plain, layer.view(), {target}, {.log_prob = two}, pass);
  std::vector<double> hidden(6);
  CHECK_THROWS_WITH(
      linear_backward(plain, layer.view(), {target}, pass, {.entropy = two}, {.hidden = hidden}),
      Catch::Contains("needs a forward pass that gave entropy"));
  CHECK_THROWS_WITH(linear_backward(plain, layer.view(), {target}, pass, {.log_prob = two},
                                    {.hidden = hidden}, {.skip_below = 0.1}),
                    Catch::Contains("skip_below needs a forward pass that was given it too"));
  lm::arithmetic<double> const rounded{lm::eigen_products, {}, lm::compute_type::bf16};
  CHECK_THROWS_WITH(linear_log_prob(rounded, layer.view(), {target}, {}, pass),
                    Catch::Contains("Eigen multiplies no bfloat16"));
}

TEST_CASE("linear_log_prob: a model of one's own brings hidden rows and a matrix",
          "[lm][linear_log_prob]") {
  constexpr size_t rows = 2, width = 3, vocabulary = 4;
  std::vector<float> hidden = {1, 0, 2, 0, 1, 0}, matrix(vocabulary * width),
                     d_matrix(matrix.size());
  std::vector<float> d_hidden(hidden.size()), coefficient;
  prefer::thread_pool pool(2);
  // [own_head]
  prefer::lm::arithmetic<float> const how{prefer::lm::eigen_products, pool.executor()};
  prefer::lm::output_layer<float> const head{
      .hidden = hidden, .matrix = prefer::lm::weights_at(vocabulary, width, matrix.data())};
  std::vector<std::uint32_t> const target = {3, 0, 1};
  std::vector<std::uint32_t> const row = {0, 0, 1};  // two tokens are scored from the first row
  std::vector<float> log_prob(3);

  prefer::lm::linear_options const options{.for_backward = prefer::lm::prepared::hidden_and_matrix};
  prefer::lm::linear_pass<float> pass;  // keep it from step to step: it is memory
  linear_log_prob(how, head, {target, row}, {.log_prob = log_prob}, pass, options);
  coefficient = {0.5f, 0, -0.5f};  // of a loss: its derivative by each log_prob
  linear_backward(how, head, {target, row}, pass, {.log_prob = coefficient},
                  {.hidden = d_hidden, .matrix = d_matrix.data()}, options);
  // [/own_head]
  CHECK(log_prob[0] == Approx(-std::log(4.0)));
  // d / d matrix[v] = sum over rows of coefficient * ((v is target) - 1/4) * hidden
  CHECK(d_matrix[3 * width] == Approx(0.5 * 0.75));
  CHECK(d_matrix[1 * width + 1] == Approx(-0.5 * 0.75));
  CHECK(d_hidden == std::vector<float>(rows * width));  // the matrix is zero
}
