// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cstddef>
#include <utility>

#include <prefer/loss/catalogue.hpp>
#include <prefer/metrics/calibration.hpp>
#include <prefer/metrics/displacement.hpp>
#include <prefer/metrics/effective_sample.hpp>
#include <prefer/metrics/kl_estimates.hpp>
#include <prefer/metrics/length_bias.hpp>
#include <prefer/metrics/likelihood.hpp>
#include <prefer/metrics/reference_compatibility.hpp>
#include <prefer/metrics/rewards.hpp>

#include "laws/two_backends.hpp"

// What every backend owes: the numbers of the host, for every loss with its statistics, coefficients and metrics.

namespace {

using namespace prefer::test;
using prefer::column_name;

TEST_CASE(
    "laws: every loss with its statistics, coefficients and metrics is the same on every backend",
    "[laws][backend]") {
  STATIC_REQUIRE(prefer::Backend<toy>);
  std::size_t losses = 0;
  prefer::for_each_loss([&]<prefer::Loss L>(L const& loss, auto const&) {
    INFO("loss " << L::name);
    ++losses;
    same_on_the_toy(loss);
  });
  CHECK(losses > 60);
}

void check_same(prefer::correlation const& a, prefer::correlation const& b) {
  CHECK(a.count() == b.count());
  CHECK(near(a.value(), b.value(), 1e-11, 1.0));
  CHECK(near(a.mean_x(), b.mean_x(), 1e-12, 1.0));
  CHECK(near(a.deviation_y(), b.deviation_y(), 1e-12, 1.0));
}

TEST_CASE("laws: every metric of pairs is the same on every backend, and crosses in sums only",
          "[laws][backend]") {
  twice<prefer::basic_pair_columns> batch(column_name::reference | column_name::length);
  prefer::reward_rule const rule{.beta = 0.3};
  auto const same = [](prefer::sum_and_count a, prefer::sum_and_count b) {
    CHECK(near(a.count, b.count, 1e-12));
    CHECK(near(a.sum, b.sum, 1e-12, 1.0));
  };
  auto const both = [&](auto const& metric) {
    return std::pair(metric(batch.here), metric(batch.there));
  };
  auto const [bins, toy_bins] = both([&](auto const& b) { return calibration_of(b, rule); });
  same(bins.brier, toy_bins.brier);
  same(bins.log_loss, toy_bins.log_loss);
  CHECK(near(bins.expected_error(), toy_bins.expected_error(), 1e-12));
  auto const [fall, toy_fall] = both([](auto const& b) { return displacement_of(b); });
  same(fall.chosen.fall_per_token, toy_fall.chosen.fall_per_token);
  same(fall.rejected.fall, toy_fall.rejected.fall);
  same(fall.both_fell, toy_fall.both_fell);
  auto const [bias, toy_bias] = both([&](auto const& b) { return length_bias_of(b, rule); });
  same(bias.length_chosen, toy_bias.length_chosen);
  check_same(bias.reward_length, toy_bias.reward_length);
  check_same(bias.margin_length_difference, toy_bias.margin_length_difference);
  auto const [fit, toy_fit] = both([&](auto const& b) { return compatibility_of(b, rule); });
  check_same(fit.margins, toy_fit.margins);
  same(fit.reference_accuracy, toy_fit.reference_accuracy);
  auto const [odds, toy_odds] = both([](auto const& b) { return likelihood(b); });
  same(odds.nll, toy_odds.nll);
  same(odds.log_odds_ratio, toy_odds.log_odds_ratio);
  auto const [active, toy_active] = both([&](auto const& b) { return active_share(b, rule); });
  same(active, toy_active);
  auto const [kl, toy_kl] =
      both([](auto const& b) { return prefer::estimate_kl(b.policy.chosen, b.reference.chosen); });
  same(kl.k1, toy_kl.k1);
  same(kl.k3, toy_kl.k3);
  auto const [size, toy_size] =
      both([](auto const& b) { return prefer::effective_sample_of(b.policy.chosen); });
  CHECK(near(size.size(), toy_size.size(), 1e-12));
  CHECK(batch.crossings.columns == 0);
}

}  // namespace
