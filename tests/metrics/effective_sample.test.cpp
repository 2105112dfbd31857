// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <prefer/loss/dpo.hpp>
#include <prefer/metrics/effective_sample.hpp>
#include <prefer/objective/evaluate.hpp>
#include <vector>

TEST_CASE("active share: a pair is active while sigmoid(-z) is above 0.05",
          "[objective][effective_sample]") {
  // sigmoid(-z) = 1/20 at z = log 19 = 2.944.
  double const edge = std::log(19.0);
  std::vector<double> const z = {-100, 0, edge - 1e-9, edge + 1e-9, 50};
  std::vector<double> const zero(5, 0.0);
  auto const share = prefer::active_share({.policy = {z, zero}}, {});
  CHECK(share.sum == 3);
  CHECK(share.count == 5);
  CHECK(prefer::active_share({.policy = {z, zero}}, {.beta = 1e-3}).sum == 5);
}

TEST_CASE("effective sample: n equal coefficients are n examples, one of n is one",
          "[objective][effective_sample]") {
  std::vector<double> const equal = {-0.3, -0.3, 0.3, -0.3};
  CHECK(prefer::effective_sample_of(equal).size() == Approx(4));
  CHECK(prefer::effective_sample_of(equal).share() == Approx(1));
  std::vector<double> const one = {0, -2, 0, 0};
  CHECK(prefer::effective_sample_of(one).size() == 1);
  CHECK(prefer::effective_sample_of(one).share() == 0.25);
  std::vector<double> const uneven = {3, 1};  // 4^2 / (9 + 1)
  CHECK(prefer::effective_sample_of(uneven).size() == Approx(1.6));
  std::vector<double> const none = {0, 0};
  CHECK(prefer::effective_sample_of(none).size() == 0);
}

TEST_CASE("effective sample: parts add up", "[objective][effective_sample]") {
  std::vector<double> const left = {3};
  std::vector<double> const right = {1};
  auto const sum = prefer::effective_sample_of(left) + prefer::effective_sample_of(right);
  CHECK(sum.size() == Approx(1.6));
  CHECK(sum.share() == Approx(0.8));
}

TEST_CASE("effective sample: of DPO's coefficients", "[objective][effective_sample]") {
  // Coefficients -sigmoid(-z) / 2 at z = 0 and log 3: 1/2 and 1/4 up to a factor. 9/16 / (5/16).
  std::vector<double> const chosen = {-1, -1};
  std::vector<double> const rejected = {-1, -1 - std::log(3.0)};
  std::vector<double> const reference = {-2, -2};
  auto const result = prefer::evaluate(
      prefer::dpo{.beta = 1.0},
      prefer::pair_columns{.policy = {chosen, rejected}, .reference = {reference, reference}});
  CHECK(prefer::effective_sample_of(result.coefficient.chosen).size() == Approx(1.8));
}
