// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <prefer/metrics/reference_compatibility.hpp>
#include <train/small_problem.hpp>
#include <vector>

using prefer::compatibility_of;

TEST_CASE("compatibility: a policy as its own reference starts at margins of 0",
          "[objective][reference_compatibility]") {
  std::vector<double> const chosen = {-1, -2, -5};
  std::vector<double> const rejected = {-2, -1, -1};
  auto const c = compatibility_of({.policy = {chosen, rejected}, .reference = {chosen, rejected}},
                                  {.beta = 0.1});
  CHECK(c.mean_margin() == 0);
  CHECK(c.margin_deviation() == 0);
  CHECK(c.margin_correlation() == Approx(1).epsilon(1e-14));
  CHECK(c.accuracy.mean() == 0);  // ties
  CHECK(c.reference_accuracy.mean() == Approx(1.0 / 3));
  CHECK(c.policy_accuracy.mean() == Approx(1.0 / 3));
}

TEST_CASE("compatibility: mean, deviation, order and correlation of the first margins",
          "[objective][reference_compatibility]") {
  // Policy margins 2, 0, -2, 0; reference margins 1, 1, -1, -1; z = (policy - reference) / 2:
  // 1/2, -1/2, -1/2, 1/2.
  std::vector<double> const zero(4, 0.0);
  std::vector<double> const policy = {2, 0, -2, 0};
  std::vector<double> const reference = {1, 1, -1, -1};
  prefer::pair_columns const columns{.policy = {policy, zero}, .reference = {reference, zero}};
  auto const c = compatibility_of(columns, {.beta = 0.5});
  CHECK(c.mean_margin() == 0);
  CHECK(c.margin_deviation() == 0.5);
  CHECK(c.accuracy.mean() == 0.5);
  CHECK(c.reference_accuracy.mean() == 0.5);
  CHECK(c.policy_accuracy.mean() == 0.25);
  CHECK(c.margin_correlation() == Approx(4 / std::sqrt(8.0 * 4.0)));  // products 2, 0, 2, 0
  auto const twice = c + c;
  CHECK(twice.accuracy.count == 8);
  CHECK(twice.margin_deviation() == Approx(0.5));
  CHECK(twice.margin_correlation() == Approx(c.margin_correlation()));
}

TEST_CASE("compatibility: needs a reference", "[objective][reference_compatibility]") {
  std::vector<double> const one = {-1};
  CHECK(small::message_of([&] {
          (void)compatibility_of({.policy = {one, one}}, {});
        }) == "compatibility_of: it compares with a reference; give one");
}
