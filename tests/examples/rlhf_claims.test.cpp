// SPDX-License-Identifier: MIT
//
// The program `rlhf_claims`: what its numbers are made of, and two of its studies as its users run them.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <rlhf_claims/gao.hpp>
#include <rlhf_claims/listed.hpp>
#include <rlhf_claims/minimise.hpp>
#include <span>
#include <string>
#include <vector>

#include <prefer/metrics/over_optimisation.hpp>

#include "workplace.hpp"

namespace {

using namespace prefer::test;
using namespace rlhf_claims;

/// Of E_t[truth] along start * exp(t * learned) / Z the derivative by t: the covariance of the two rewards under that policy.
double covariance_at(listed_problem const& of, numbers const& learned, double tilt) {
  auto const policy = tilted(of.start, learned, tilt);
  numbers product = learned;
  for (std::size_t y = 0; y != product.size(); ++y) product[y] *= of.reward[y];
  return expected(policy, product) - expected(policy, learned) * expected(policy, of.reward);
}

struct summary {
  double mean = 0.0;
  double standard_error = 0.0;
};
summary summary_of(numbers const& of) {
  summary out;
  auto const count = static_cast<double>(of.size());
  for (double const each : of) out.mean += each / count;
  double squares = 0.0;
  for (double const each : of) squares += (each - out.mean) * (each - out.mean);
  out.standard_error = std::sqrt(squares / (count - 1.0) / count);
  return out;
}

}  // namespace

TEST_CASE("rlhf_claims: a minimum is where the gradient is none", "[examples][rlhf_claims]") {
  numbers at = {-1.2, 1.0};
  auto const found = minimise(at, [](numbers const& x, numbers& slope) {  // Rosenbrock's valley
    double const a = 1.0 - x[0];
    double const b = x[1] - x[0] * x[0];
    slope = {-2.0 * a - 400.0 * x[0] * b, 200.0 * b};
    return a * a + 100.0 * b * b;
  });
  CHECK(at[0] == Approx(1.0).epsilon(1e-8));
  CHECK(at[1] == Approx(1.0).epsilon(1e-8));
  CHECK(found.steepest < 1e-9);
}

TEST_CASE("rlhf_claims: fitted to a curve of its own form, the coefficients are found again",
          "[examples][rlhf_claims]") {
  for (curve const form : {curve::best_of_n, curve::reinforcement}) {
    optimised_path path = {{}};
    for (int i = 1; i != 40; ++i) {
      double const d = 0.05 * i * i / 10.0;
      double const down = form == curve::best_of_n ? d : std::log(d);
      path.push_back({.at = d, .kl = d * d, .truth = d * (1.25 - 0.5 * down)});
    }
    auto const found = fit_curve(path, form);
    CHECK(found.alpha == Approx(1.25));
    CHECK(found.beta == Approx(0.5));
    CHECK(found.residual < 1e-12);
    // d (alpha - 2 beta d) = 0 and alpha - beta (log d + 1) = 0
    CHECK(found.turn == Approx(form == curve::best_of_n ? 1.25 : std::exp(1.5)));
  }
}

TEST_CASE("rlhf_claims: with a reward model of 50 pairs the true reward rises and then falls",
          "[examples][rlhf_claims]") {
  constexpr std::uint64_t seeds = 300;
  for (auto const& [name, path_of] :
       {std::pair{"best of n", &best_of_n_path}, std::pair{"optimum", &optimum_path}}) {
    INFO(name);
    std::vector<optimised_path> paths;
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
      auto const problem = over_optimised_problem(seed);
      paths.push_back(path_of(problem, fitted_reward(draw_pairs(problem, 50, seed), 64)));
    }
    // The place of the peak comes from one half of the seeds, the fall from the other.
    std::size_t peak = 0;
    double best = 0.0;
    for (std::size_t i = 0; i != paths.front().size(); ++i) {
      double sum = 0.0;
      for (std::size_t s = 0; s < seeds; s += 2) sum += paths[s][i].truth;
      if (sum > best) {
        best = sum;
        peak = i;
      }
    }
    numbers rise, fall, learned;
    for (std::size_t s = 1; s < seeds; s += 2) {
      rise.push_back(paths[s][peak].truth);
      fall.push_back(paths[s][peak].truth - paths[s].back().truth);
      learned.push_back(paths[s].back().learned - paths[s][peak].learned);
    }
    CHECK(summary_of(rise).mean > 2.0 * summary_of(rise).standard_error);
    CHECK(summary_of(fall).mean > 2.0 * summary_of(fall).standard_error);
    CHECK(summary_of(learned).mean > 2.0 * summary_of(learned).standard_error);
  }
}

TEST_CASE("rlhf_claims: the turning point that is reported is where the exact curve turns",
          "[examples][rlhf_claims]") {
  std::size_t turned = 0;
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    auto const problem = over_optimised_problem(seed);
    auto const learned = fitted_reward(draw_pairs(problem, 50, seed), 64);
    auto const path = optimum_path(problem, learned);
    std::vector<prefer::checkpoint_rewards> steps;
    for (auto const& point : path) {
      steps.push_back({.proxy = point.learned, .truth = point.truth, .kl = point.kl});
    }
    auto const found =
        prefer::find_over_optimisation(std::span<prefer::checkpoint_rewards const>(steps));
    if (!found.found || found.peak == 0) continue;
    ++turned;
    INFO("seed " << seed);
    CHECK(covariance_at(problem, learned, path[found.peak - 1].at) > 0.0);
    CHECK(covariance_at(problem, learned, path[found.peak + 1].at) < 0.0);
    CHECK(found.distance_at_peak == Approx(std::sqrt(path[found.peak].kl)));
  }
  CHECK(turned >= 3);
}

TEST_CASE("rlhf_claims: counts what can be counted", "[examples][rlhf_claims]") {
  workplace const at("rlhf_claims", PREFER_EXAMPLE_RLHF_CLAIMS);
  auto const run = at.run("--study kl_estimators outside_the_data --seeds 2 --output out");
  INFO(run.err);
  REQUIRE(run.code == 0);
  CHECK_FALSE(at.has("out/rlhf_claims.csv.unfinished"));
  for (char const* const picture : {"out/kl_estimators.svg", "out/outside_the_data.svg"}) {
    CHECK_THAT(at.content(picture), Catch::Matchers::Contains("</svg>"));
  }
  auto const rows = rows_of(at.content("out/rlhf_claims.csv"));
  auto const value = [&](std::string const& method, std::string const& measure,
                         std::string const& where) {
    for (auto const& row : rows) {
      if (row.at("method") == method && row.at("measure") == measure && row.at("at") == where) {
        return number(row, "mean");
      }
    }
    FAIL("no row of " << method << ", " << measure << " at " << where);
    return 0.0;
  };
  // k1 in the reward and k2 in the loss are one estimator, r times the score function, and the only ones without bias.
  CHECK(value("k1 in the reward", "bias", "1") < 1e-12);
  CHECK(value("k2 in the loss", "bias", "1") < 1e-12);
  CHECK(value("k1 in the reward", "deviation", "1") ==
        Approx(value("k2 in the loss", "deviation", "1")));
  // k1 in the loss is 0 times the score function's expectation: all of the gradient is missing.
  CHECK(value("k1 in the loss", "bias", "1") == Approx(1.0));
  for (char const* const other : {"k2 in the reward", "k3 in the reward", "k3 in the loss"}) {
    CHECK(value(other, "bias", "1") > 0.1);
  }
  // As numbers k1 and k3 have no bias; k3 deviates less than k1 where policy and start are close.
  CHECK(std::fabs(value("k1", "bias of the number", "0.125")) < 1e-9);
  CHECK(std::fabs(value("k3", "bias of the number", "0.125")) < 1e-9);
  CHECK(std::fabs(value("k2", "bias of the number", "1")) > 1e-3);
  CHECK(value("k3", "deviation of the number", "0.125") <
        value("k1", "deviation of the number", "0.125"));
  // DPO sees a margin: what else a policy writes is not in its loss.
  CHECK(value("dpo", "loss", "0") == Approx(value("dpo", "loss", "0.9")).epsilon(1e-12));
  CHECK(value("dpo", "kl", "0.9") > 10.0);
  CHECK(value("dpo - rlhf", "largest difference of a probability", "0") < 1e-5);
}

TEST_CASE("rlhf_claims: arguments that make no sense are named in one sentence",
          "[examples][rlhf_claims]") {
  workplace const at("rlhf_claims", PREFER_EXAMPLE_RLHF_CLAIMS);
  at.check_refused("--study all --output refused", "--study", 2);
  at.check_refused("--seeds 1 --output refused", "--seeds", 2);
  CHECK_FALSE(at.has("refused"));
}
