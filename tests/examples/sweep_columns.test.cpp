// SPDX-License-Identifier: MIT
//
// What losses read besides log-probabilities.

#include <catch2/catch.hpp>
#include <cmath>
#include <map>
#include <string>
#include <sweep/bandit.hpp>
#include <sweep/objective.hpp>
#include <sweep/sequences.hpp>
#include <vector>

#include "sweep_folder.hpp"

using namespace sweep_test;

TEST_CASE("sweep: what a judge saw explains the labels", "[examples][sweep]") {
  sweep::bandit const task(16, 4000);
  auto const problem = task.make(1, {});
  auto const rewards = problem->scores(prefer::score_kind::reward);
  auto const seen = problem->scores(prefer::score_kind::ordered_reward);
  auto const wins = problem->scores(prefer::score_kind::win_probability);
  double expected_wrong = 0.0;
  double variance = 0.0;
  double wrong = 0.0;
  double noise_squared = 0.0;
  for (std::size_t i = 0; i < problem->pairs(); ++i) {
    double const gap = rewards.chosen[i] - rewards.rejected[i];
    REQUIRE(seen.chosen[i] > seen.rejected[i]);
    CHECK(seen.chosen[i] + seen.rejected[i] ==
          Approx(rewards.chosen[i] + rewards.rejected[i]).margin(1e-12));
    CHECK(wins.chosen[i] + wins.rejected[i] == Approx(1.0));
    CHECK(std::log(wins.chosen[i] / wins.rejected[i]) == Approx(2.0 * gap).margin(1e-9));
    wrong += gap < 0.0 ? 1.0 : 0.0;
    double const p = 1.0 / (1.0 + std::exp(2.0 * std::fabs(gap)));
    expected_wrong += p;
    variance += p * (1.0 - p);
    // What was seen less what is: half a logistic number, whose sign depends on which was drawn first. A wrong
    // label's gap counts from the other side.
    double const n = (seen.chosen[i] - seen.rejected[i]) - gap;
    noise_squared += n * n;
  }
  auto const n = static_cast<double>(problem->pairs());
  CHECK(std::fabs(wrong - expected_wrong) < 4.0 * std::sqrt(variance));
  // Half a logistic number has the variance pi^2 / 12 and the fourth moment 7 pi^4 / 240.
  double const second = std::pow(3.14159265358979, 2) / 12.0;
  double const fourth = 7.0 * std::pow(3.14159265358979, 4) / 240.0;
  CHECK(std::fabs(noise_squared / n - second) < 4.0 * std::sqrt((fourth - second * second) / n));
}

TEST_CASE("sweep: a flipped label turns what was seen with it, and no true reward",
          "[examples][sweep]") {
  sweep::bandit const task(16, 200);
  auto const right = task.make(1, {});
  auto const turned = task.make(1, {.flip = 0.5});
  auto const before = right->scores(prefer::score_kind::reward);
  auto const after = turned->scores(prefer::score_kind::reward);
  auto const seen_before = right->scores(prefer::score_kind::ordered_reward);
  auto const seen_after = turned->scores(prefer::score_kind::ordered_reward);
  std::size_t flips = 0;
  for (std::size_t i = 0; i < right->pairs(); ++i) {
    bool const flipped = before.chosen[i] != after.chosen[i];
    flips += flipped ? 1 : 0;
    CHECK((flipped ? after.rejected[i] : after.chosen[i]) == before.chosen[i]);
    CHECK(seen_after.chosen[i] == Approx(seen_before.chosen[i]));
    CHECK(seen_after.rejected[i] == Approx(seen_before.rejected[i]));
  }
  // Half of about 190 pairs: four standard deviations are 28.
  CHECK(flips > 60);
  CHECK(flips < 130);
}

TEST_CASE(
    "sweep: losses that learn from true rewards are not reached by flips, and the report says so",
    "[examples][sweep]") {
  sweep_folder const place;
  auto const run = place.run(
      "--loss rebel,exo,sppo_soft,odpo --beta 1 --reference start --seeds 2 --steps 20 --flip "
      "0,0.5 "
      "--output out" +
      small);
  INFO(run.err);
  REQUIRE(run.code == 0);
  CHECK_THAT(place.content("out/sweep.html"), Contains("true rewards: rebel, exo, sppo_soft."));
  std::map<std::string, std::map<std::string, std::string>> reward;
  for (auto const& one : rows_of(place.content("out/sweep.csv"))) {
    reward[one.at("loss") + one.at("seed")][one.at("flip")] = one.at("reward");
  }
  for (std::string const seed : {"1", "2"}) {
    for (std::string const loss : {"rebel", "exo", "sppo_soft"}) {
      INFO(loss);
      // Sums in another order.
      auto const& of = reward.at(loss + seed);
      CHECK(std::stod(of.at("0")) == Approx(std::stod(of.at("0.5"))).epsilon(1e-9));
    }
    CHECK(reward.at("odpo" + seed).at("0") != reward.at("odpo" + seed).at("0.5"));
  }
}

TEST_CASE("sweep: losses that read tokens run on sequences", "[examples][sweep][slow]") {
  sweep_folder const place;
  auto const run = place.run(
      "--task markov --loss "
      "dpo,tdpo1,tdpo2:alpha=0,wpo,wpo:largest_weight=1e-9,epsilon_dpo,beta_dpo "
      "--beta 0.1,1,5 --reference start,far,ema --seeds 2 --steps 1,40 --output out");
  INFO(run.err);
  REQUIRE(run.code == 0);
  std::map<std::string, csv_row> at;
  for (auto const& one : rows_of(place.content("out/sweep.csv"))) {
    at[one.at("loss") + "|" + one.at("beta") + "|" + one.at("reference") + "|" + one.at("seed") +
       "|" + one.at("steps")] = one;
    CHECK(number(one, "reward") <= number(one, "best_reward") + 1e-9);
  }
  for (std::string const beta : {"0.1", "1", "5"}) {
    for (std::string const reference : {"start", "far", "ema"}) {
      for (std::string const seed : {"1", "2"}) {
        std::string const where = "|" + beta + "|" + reference + "|" + seed + "|";
        INFO(where);
        auto const reward = [&](std::string const& loss, std::string const& steps) {
          return number(at.at(loss + where + steps), "reward");
        };
        // Without its divergence term tdpo2 is dpo.
        CHECK(reward("tdpo2 alpha=0", "40") == Approx(reward("dpo", "40")).epsilon(1e-9));
        // With all weights at the bound wpo is dpo in another unit, which the step makes up for.
        CHECK(reward("wpo largest_weight=1e-09", "40") ==
              Approx(reward("dpo", "40")).epsilon(1e-6));
        CHECK(reward("wpo", "40") != Approx(reward("dpo", "40")).epsilon(1e-6));
        if (reference == "far") continue;
        // At the reference the divergence and its gradient are 0, and no policy is nearer: the first step is dpo's.
        CHECK(reward("tdpo1", "1") == Approx(reward("dpo", "1")).epsilon(1e-9));
        CHECK(reward("epsilon_dpo", "1") == Approx(reward("dpo", "1")).epsilon(1e-9));
        CHECK(reward("tdpo1", "40") != Approx(reward("dpo", "40")).epsilon(1e-6));
        CHECK(reward("epsilon_dpo", "40") != Approx(reward("dpo", "40")).epsilon(1e-9));
      }
    }
  }
}

TEST_CASE("sweep: descent of a bigram policy follows d loss / d divergence", "[examples][sweep]") {
  sweep::sequences const task(20);
  auto const problem = task.make(3, {});
  std::size_t const n = problem->pairs();
  std::vector<double> const zero(n, 0.0);
  std::vector<double> const one(n, 1.0);
  auto const total = [&](sweep::learner& policy) {
    sweep::token_numbers out;
    policy.read_tokens(prefer::column_name::divergence, 0.0, out);
    double sum = 0.0;
    for (double const d : out.divergence.chosen) sum += d;
    return sum;
  };
  auto const policy = problem->start("far");
  double const before = total(*policy);
  policy->descend({zero, zero, one, zero}, 1e-4);
  double const after = total(*policy);
  CHECK(after < before);
  // Half the step falls half as far, but for a second order of a thousandth.
  auto const half = problem->start("far");
  half->descend({zero, zero, one, zero}, 0.5e-4);
  CHECK(before - total(*half) == Approx(0.5 * (before - after)).epsilon(1e-2));
}

TEST_CASE("sweep: beta_dpo draws the same pairs in each run, and others than dpo takes",
          "[examples][sweep][slow]") {
  sweep_folder const place;
  std::string const what = "--loss beta_dpo,dpo --beta 0.5 --reference start --seeds 2 --steps 30 ";
  REQUIRE(place.run(what + small + "--threads 1 --output a").code == 0);
  REQUIRE(place.run(what + small + "--threads 3 --output b").code == 0);
  CHECK(place.content("a/sweep.csv") == place.content("b/sweep.csv"));
  auto const rows = rows_of(place.content("a/sweep.csv"));
  REQUIRE(rows.size() == 4);
  CHECK(rows[0].at("reward") != rows[2].at("reward"));
}

TEST_CASE("sweep: a loss that remembers goes on from step to step", "[examples][sweep]") {
  // bco's threshold is the mean of all rewards so far: 0 in the first batch, half of the second's in the second.
  auto const choice = sweep::describe_loss("bco");
  sweep::objective kept(choice, 1.0, 1);
  double const reference[] = {-1.0};
  double up = 0.0;
  double down = 0.0;
  auto const coefficient = [&](double log_prob) {
    double const policy[] = {log_prob};
    kept.coefficients({.policy = {policy, policy}, .reference = {reference, reference}, .drawn = 1},
                      {&up, 1}, {&down, 1});
    return up;
  };
  // Half of -sigmoid(-(log_ratio - threshold)) for the desirable example.
  CHECK(coefficient(-1.0) == Approx(-0.25));
  CHECK(coefficient(1.0) == Approx(-0.5 / (1.0 + std::exp(2.0 - 1.0))));
}
