// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <prefer/diagnosis/training_report.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/simpo.hpp>
#include <vector>

using prefer::summary_of;

namespace {

// Log-ratio margins 2 and -2.
struct two_pairs {
  std::vector<double> policy_chosen = {-1, -4};
  std::vector<double> policy_rejected = {-3, -2};
  std::vector<double> reference = {-2, -3};
  std::vector<int> length = {1, 2};
  [[nodiscard]] prefer::pair_columns columns() const {
    return {.policy = {policy_chosen, policy_rejected}, .reference = {reference, reference}};
  }
};

}  // namespace

TEST_CASE("summary: holds what the columns of a batch allow", "[train][training_report]") {
  two_pairs const at;
  auto const bare = summary_of({.policy = at.columns().policy}, prefer::dpo{.beta = 0.5});
  CHECK(bare.present());
  CHECK(bare.rewards.reward_margin.count == 2);
  CHECK(bare.displaced.chosen.fell.count == 0);
  CHECK(bare.compared.accuracy.count == 0);
  CHECK(bare.lengths.length_chosen.count == 0);
  CHECK_FALSE(prefer::pair_summary{}.present());

  auto columns = at.columns();
  columns.length = {at.length, at.length};
  auto const full = summary_of(columns, prefer::dpo{.beta = 2.0});
  CHECK(full.rewards.reward_chosen.sum == 0);  // 2 (1 - 1)
  CHECK(full.active.sum == 1);                 // margins 4 and -4; log 19 is less than 4
  CHECK(full.displaced.chosen.fell.sum == 1);
  CHECK(full.compared.margin_deviation() == Approx(4));
  CHECK(full.lengths.length_chosen.sum == 3);
  CHECK(full.calibrated.total().accuracy() == 0.5);
}

TEST_CASE("summary: of a loss uses its beta and counts tokens where it does",
          "[train][training_report]") {
  two_pairs const at;
  prefer::pair_columns const columns{.policy = at.columns().policy,
                                     .length = {at.length, at.length}};
  // 3 (-1 / 1 + 3 / 1) and 3 (-4 / 2 + 2 / 2)
  CHECK(summary_of(columns, prefer::simpo{.beta = 3.0}).rewards.reward_margin.sum == 3);
}

TEST_CASE("summary: parts add up", "[train][training_report]") {
  two_pairs const at;
  auto const part = summary_of(at.columns(), prefer::dpo{.beta = 1.0});
  auto const sum = part + part;
  CHECK(sum.rewards.accuracy.count == 4);
  CHECK(sum.displaced.both_fell.count == 4);
  CHECK(sum.compared.accuracy.count == 4);
  CHECK(sum.calibrated.total().weight == 4);
  CHECK(sum.active.mean() == part.active.mean());
  CHECK((prefer::pair_summary{} + part).calibrated.total().weight == 2);
  CHECK((part + prefer::pair_summary{}).calibrated.total().weight == 2);
}
