// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <prefer/metrics/over_optimisation.hpp>
#include <train/small_problem.hpp>
#include <vector>

using prefer::checkpoint_rewards;
using prefer::find_over_optimisation;

TEST_CASE("over-optimisation: found at the top of gold = d (a - b d)",
          "[objective][over_optimisation]") {
  // The law of best-of-n with d = sqrt(KL), a = 2, b = 1/2: highest, 2, at d = 2; the proxy grows with d.
  std::vector<checkpoint_rewards> run;
  for (std::uint64_t i = 0; i <= 12; ++i) {
    double const d = 0.25 * static_cast<double>(i);
    run.push_back({.step = 100 * i, .proxy = 2 * d, .truth = d * (2 - 0.5 * d), .kl = d * d});
  }
  auto const found = find_over_optimisation(run);
  CHECK(found.found);
  CHECK(found.peak == 8);
  CHECK(run[found.peak].step == 800);
  CHECK(found.distance_at_peak == 2);
  CHECK(found.drop == 0.5);                             // 2 - 3 (2 - 3/2)
  CHECK(found.proxy_gain == 2);                         // 2 (3 - 2)
  CHECK_FALSE(find_over_optimisation(run, 0.5).found);  // no more than noise
}

TEST_CASE("over-optimisation: not where the true reward still rises, nor where both fall",
          "[objective][over_optimisation]") {
  std::vector<checkpoint_rewards> const rising = {{.proxy = 0, .truth = 0},
                                                  {.proxy = 1, .truth = 1}};
  CHECK_FALSE(find_over_optimisation(rising).found);
  CHECK(find_over_optimisation(rising).peak == 1);
  std::vector<checkpoint_rewards> const falling = {{.proxy = 1, .truth = 1},
                                                   {.proxy = 0, .truth = 0}};
  CHECK_FALSE(find_over_optimisation(falling).found);
  CHECK(find_over_optimisation(falling).drop == 1);
}

TEST_CASE("over-optimisation: a KL estimate below 0 is a distance of 0",
          "[objective][over_optimisation]") {
  std::vector<checkpoint_rewards> const run = {{.proxy = 0, .truth = 1, .kl = -0.1},
                                               {.proxy = 1, .truth = 0, .kl = 2}};
  CHECK(find_over_optimisation(run).found);
  CHECK(find_over_optimisation(run).distance_at_peak == 0);
  CHECK(small::message_of([] { (void)find_over_optimisation({}); }) ==
        "find_over_optimisation: there are no checkpoints");
}
