// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <limits>
#include <prefer/objective/metrics.hpp>
#include <train/small_problem.hpp>
#include <vector>

using prefer::metrics;
using prefer::pair_columns;
using small::message_of;

namespace {

// Log-ratios: chosen 1, -1/2, 2; rejected -1, 1/2, 2. All numbers are exact.
struct three_pairs {
  std::vector<double> policy_chosen = {-2, -3, -1};
  std::vector<double> policy_rejected = {-4, -1, -2};
  std::vector<double> reference_chosen = {-3, -2.5, -3};
  std::vector<double> reference_rejected = {-3, -1.5, -4};
  std::vector<double> beta = {1, 2, 4};
  [[nodiscard]] pair_columns columns() const {
    return {.policy = {policy_chosen, policy_rejected},
            .reference = {reference_chosen, reference_rejected}};
  }
};

}  // namespace

TEST_CASE("metrics: rewards are beta times log-ratios, and a tie is a miss",
          "[objective][metrics]") {
  three_pairs const at;
  auto const sums = metrics(at.columns(), 0.5);
  CHECK(sums.reward_chosen.sum == 1.25);    // (1 - 1/2 + 2) / 2
  CHECK(sums.reward_rejected.sum == 0.75);  // (-1 + 1/2 + 2) / 2
  CHECK(sums.reward_margin.sum == 0.5);     // (2 - 1 + 0) / 2
  CHECK(sums.accuracy.sum == 1);            // margins 2, -1, 0
  CHECK(sums.accuracy.count == 3);
  CHECK(sums.accuracy.mean() == Approx(1.0 / 3));
}

TEST_CASE("metrics: without a reference a log-ratio is the log-probability",
          "[objective][metrics]") {
  three_pairs const at;
  auto const sums = metrics({.policy = at.columns().policy}, 1.0);
  CHECK(sums.reward_chosen.sum == -6);
  CHECK(sums.reward_rejected.sum == -7);
  CHECK(sums.reward_margin.sum == 1);  // 2, -2, 1
  CHECK(sums.accuracy.sum == 2);
}

TEST_CASE("metrics: a pair's own beta takes the place of the common one", "[objective][metrics]") {
  three_pairs const at;
  auto columns = at.columns();
  columns.beta = at.beta;
  CHECK(metrics(columns, 100.0).reward_margin.sum == 0);  // 1 * 2 - 2 * 1 + 4 * 0
}

TEST_CASE("metrics: batches add up before they are divided", "[objective][metrics]") {
  three_pairs const at;
  std::vector<double> const one = {-1};
  std::vector<double> const other = {-2};
  auto const sums = metrics(at.columns(), 0.5) + metrics({.policy = {one, other}}, 0.5);
  CHECK(sums.reward_margin.sum == 1);
  CHECK(sums.reward_margin.count == 4);
  CHECK(sums.accuracy.mean() == 0.5);
}

TEST_CASE("metrics: of an empty batch are 0", "[objective][metrics]") {
  std::vector<double> const none;
  CHECK(metrics({.policy = {none, none}}, 1.0).accuracy.mean() == 0);
}

TEST_CASE("metrics: a margin that is NaN shows in the mean and is a miss", "[objective][metrics]") {
  std::vector<double> const bad = {std::numeric_limits<double>::quiet_NaN(), -1};
  std::vector<double> const other = {-2, -2};
  auto const sums = metrics({.policy = {bad, other}}, 1.0);
  CHECK(sums.reward_margin.mean() != sums.reward_margin.mean());
  CHECK(sums.accuracy.sum == 1);
}

TEST_CASE("metrics: columns of other sizes are refused by name", "[objective][metrics]") {
  three_pairs const at;
  std::vector<double> const two = {-1, -1};
  auto const refusal = [&](auto&& change) {
    auto columns = at.columns();
    change(columns);
    return message_of([&] { (void)metrics(columns, 1.0); });
  };
  CHECK(refusal([&](pair_columns& c) { c.policy.rejected = two; }) ==
        "metrics: policy.rejected has 2 elements, expected 3");
  CHECK(refusal([&](pair_columns& c) { c.reference.chosen = two; }) ==
        "metrics: reference.chosen has 2 elements, expected 3");
  CHECK(refusal([&](pair_columns& c) { c.reference.rejected = two; }) ==
        "metrics: reference.rejected has 2 elements, expected 3");
  CHECK(refusal([&](pair_columns& c) { c.beta = two; }) ==
        "metrics: beta has 2 elements, expected 3");
  // Half a reference is a mistake, not the absence of one.
  CHECK(refusal([&](pair_columns& c) { c.reference.rejected = {}; }) ==
        "metrics: reference.rejected has 0 elements, expected 3");
  CHECK(refusal([&](pair_columns& c) { c.reference.chosen = {}; }) ==
        "metrics: reference.chosen has 0 elements, expected 3");
}

TEST_CASE("metrics: with per_token a reward is beta times the mean log-probability of a token",
          "[objective][metrics]") {
  std::vector<double> const chosen = {-6, -8};
  std::vector<double> const rejected = {-4, -6};
  std::vector<double> const chosen_length = {3, 2};
  std::vector<double> const rejected_length = {1, 3};
  pair_columns const columns{.policy = {chosen, rejected},
                             .length = {chosen_length, rejected_length}};
  auto const sums = metrics(columns, prefer::reward_rule{.beta = 2.0, .per_token = true});
  CHECK(sums.reward_chosen.sum == -12);    // 2 * (-2 - 4)
  CHECK(sums.reward_rejected.sum == -12);  // 2 * (-4 - 2)
  CHECK(sums.reward_margin.sum == 0);      // 4 - 4
  CHECK(sums.accuracy.sum == 1);
  CHECK(message_of([&] {
          (void)metrics({.policy = {chosen, rejected}}, prefer::reward_rule{1.0, true});
        }) == "metrics: length.chosen has 0 elements, expected 2");
}
