// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <prefer/metrics/likelihood.hpp>
#include <string>
#include <train/small_problem.hpp>
#include <vector>

using prefer::likelihood;
using prefer::pair_columns;

TEST_CASE("likelihood: NLL is an average over tokens, not over completions",
          "[objective][likelihood_metrics]") {
  // 6 nats over 2 tokens and 2 nats over 6: 8 / 8 = 1 per token. The mean of the means would be 5/3.
  std::vector<double> const chosen = {-6, -2};
  std::vector<double> const rejected = {-1, -1};
  std::vector<int> const chosen_length = {2, 6};
  std::vector<int> const rejected_length = {1, 1};
  auto const sums =
      likelihood({.policy = {chosen, rejected}, .length = {chosen_length, rejected_length}});
  CHECK(sums.nll.mean() == 1);
  CHECK(sums.nll.count == 8);
}

TEST_CASE("likelihood: log odds of a token probability p are log(p / (1 - p))",
          "[objective][likelihood_metrics]") {
  // Probabilities per token 3/4 (two tokens) against 1/4 (one): odds 3 against 1/3, so their ratio is 9
  // and sigmoid(log 9) = 9/10. The second pair is the first, turned round.
  double const high = std::log(0.75);
  double const low = std::log(0.25);
  std::vector<double> const chosen = {2 * high, low};
  std::vector<double> const rejected = {low, 3 * high};
  std::vector<double> const chosen_length = {2, 1};
  std::vector<double> const rejected_length = {1, 3};
  auto const sums =
      likelihood({.policy = {chosen, rejected}, .length = {chosen_length, rejected_length}});
  CHECK(std::abs(sums.log_odds_margin.sum) < 1e-14);  // log 9 - log 9, each to a few ulps of 2.2
  CHECK(sums.log_odds_ratio.sum == Approx(std::log(0.9) + std::log(0.1)).epsilon(1e-14));
  CHECK(sums.log_odds_ratio.count == 2);

  std::vector<std::string> names;
  for_each_metric(sums + sums, [&](char const* name, double) { names.emplace_back(name); });
  CHECK(names == std::vector<std::string>{"nll_loss", "log_odds_ratio", "log_odds_chosen"});
}

TEST_CASE("likelihood: log odds keep their digits at both ends",
          "[objective][likelihood_metrics]") {
  // log p = -1e-10: 1 - p = 1e-10 (1 - 5e-11), so the odds are 1e10 to a relative 1e-10.
  CHECK(prefer::log_odds(-1e-10) == Approx(std::log(1e10)).epsilon(1e-11));
  CHECK(prefer::log_odds(-1000) == -1000);  // p / (1 - p) = p
  CHECK(prefer::log_odds(0.0) == std::numeric_limits<double>::infinity());
}

TEST_CASE("likelihood: lengths are not assumed", "[objective][likelihood_metrics]") {
  std::vector<double> const one = {-1};
  CHECK(small::message_of([&] {
          (void)likelihood({.policy = {one, one}});
        }) == "likelihood: length.chosen has 0 elements, expected 1");
}
