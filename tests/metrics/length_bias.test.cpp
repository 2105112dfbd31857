// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <prefer/metrics/length_bias.hpp>
#include <train/small_problem.hpp>
#include <vector>

using prefer::length_bias_of;

TEST_CASE("length bias: rewards proportional to length have correlation 1",
          "[objective][length_bias]") {
  std::vector<double> const chosen = {3, 5, 2};
  std::vector<double> const rejected = {1, 4, 6};
  std::vector<int> const chosen_length = {30, 50, 20};
  std::vector<int> const rejected_length = {10, 40, 60};
  auto const bias = length_bias_of(
      {.policy = {chosen, rejected}, .length = {chosen_length, rejected_length}}, {.beta = 2.0});
  CHECK(bias.length_chosen.mean() == Approx(100.0 / 3));
  CHECK(bias.length_rejected.mean() == Approx(110.0 / 3));
  CHECK(bias.reward_length.count() == 6);
  CHECK(bias.reward_length.value() == Approx(1).epsilon(1e-14));
  CHECK(bias.reward_length.mean_x() == Approx(7));  // 2 * 21 / 6: beta is in the reward
  CHECK(bias.margin_length_difference.value() == Approx(1).epsilon(1e-14));
}

TEST_CASE("length bias: a margin can follow length where rewards as such do not",
          "[objective][length_bias]") {
  // Margins 1, -1 with length differences 2, -2; rewards 0 1 -1 and so on are shifted by 10 in the second
  // pair, so that over all completions reward and length have deviations (-5, 2), (-6, 0), (5, -2),
  // (6, 0): correlation -20 / sqrt(122 * 8).
  std::vector<double> const chosen = {1, 11};
  std::vector<double> const rejected = {0, 12};
  std::vector<int> const chosen_length = {7, 3};
  std::vector<int> const rejected_length = {5, 5};
  prefer::pair_columns const columns{.policy = {chosen, rejected},
                                     .length = {chosen_length, rejected_length}};
  auto const bias = length_bias_of(columns, {});
  CHECK(bias.margin_length_difference.value() == Approx(1).epsilon(1e-14));
  CHECK(bias.reward_length.value() == Approx(-20 / std::sqrt(122.0 * 8.0)));
  auto const both = bias + length_bias_of(columns, {});
  CHECK(both.length_chosen.count == 4);
  CHECK(both.reward_length.count() == 8);
}

TEST_CASE("length bias: lengths are not assumed", "[objective][length_bias]") {
  std::vector<double> const one = {-1};
  CHECK(small::message_of([&] {
          (void)length_bias_of({.policy = {one, one}}, {});
        }) == "length_bias_of: length.chosen has 0 elements, expected 1");
}
