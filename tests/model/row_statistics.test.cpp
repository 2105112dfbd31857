// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include <prefer/model/row_statistics.hpp>
#include <prefer/model/softmax.hpp>

// Rows whose probabilities are powers of two, shifted by a constant, which changes none of them.

using namespace prefer;

namespace {

constexpr double ln2 = std::numbers::ln2;
std::vector<double> const halves = {3 - ln2, 3 - 2 * ln2, 3 - 2 * ln2};   // 1/2, 1/4, 1/4
std::vector<double> const skewed = {-3 * ln2, -3 * ln2, std::log(0.75)};  // 1/8, 1/8, 3/4

std::span<double const> row(std::vector<double> const& logits) { return logits; }

}  // namespace

TEST_CASE("row statistics: entropy, the chance of the same draw twice, mean, most likely",
          "[model][row_statistics]") {
  auto const by = normalise(row(halves));
  CHECK(row_entropy(row(halves), by) == Approx(1.5 * ln2));
  CHECK(row_log_sum_of_squares(row(halves), by) == Approx(std::log(0.375)));  // 1/4 + 1/16 + 1/16
  CHECK(row_mean(row(halves)) == Approx(3 - 5 * ln2 / 3));
  CHECK(row_argmax(row(halves)) == 0);
  CHECK(row_argmax(row(skewed)) == 2);
  CHECK(row_argmax(row({1, 2, 2})) == 1);
}

TEST_CASE("row statistics: the divergence is a KL, zero of a row to itself",
          "[model][row_statistics]") {
  auto const ours = normalise(row(skewed));
  auto const theirs = normalise(row(halves));
  // sum_v r_v log(r_v / p_v) = 1/2 log 4 + 1/4 log 2 + 1/4 log(1/3)
  CHECK(row_divergence(row(skewed), ours, row(halves), theirs) ==
        Approx(1.25 * ln2 - 0.25 * std::log(3.0)));
  CHECK(row_divergence(row(halves), theirs, row(halves), theirs) == 0);
  // Its gradient is p - r; a coefficient scales it, and it adds to what is there.
  std::vector<double> gradient = {1, 0, 0};
  add_row_divergence_gradient(row(skewed), ours, row(halves), theirs, 2.0,
                              std::span<double>(gradient));
  CHECK(gradient[0] == Approx(1 + 2 * (0.125 - 0.5)));
  CHECK(gradient[1] == Approx(2 * (0.125 - 0.25)));
  CHECK(gradient[2] == Approx(2 * (0.75 - 0.25)));
}

TEST_CASE("row statistics: what is never said adds nothing", "[model][row_statistics]") {
  double const infinity = std::numeric_limits<double>::infinity();
  std::vector<double> const certain = {0, -infinity};
  std::vector<double> const even = {0, 0};
  auto const by = normalise(row(certain));
  CHECK(row_entropy(row(certain), by) == 0);
  CHECK(row_divergence(row(even), normalise(row(even)), row(certain), by) == Approx(ln2));
  CHECK(row_divergence(row(certain), by, row(even), normalise(row(even))) == infinity);
}

TEST_CASE("row statistics: a perturbed logit lies on the line through both",
          "[model][row_statistics]") {
  CHECK(perturbed_logit(2.0, 5.0, 0.0) == 2.0);
  CHECK(perturbed_logit(2.0, 5.0, -1.0) == 5.0);
  CHECK(perturbed_logit(2.0, 5.0, 0.5) == 0.5);
}
