// SPDX-License-Identifier: MIT
#include <limits>
#include <vector>

#include <catch2/catch.hpp>

#include <prefer/diagnosis/batch.hpp>

namespace {

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

TEST_CASE("diagnose: scores and what a policy over tokens says are columns like others",
          "[objective][diagnose]") {
  std::vector<double> const good = {-1.0, -2.0}, bad = {0.5, std::nan("")};
  auto const pairs = prefer::diagnose(prefer::pair_columns{
      .policy = {good, good}, .score = {good, bad}, .divergence = {bad, good}, .uniform = bad});
  REQUIRE(pairs.size() == 3);
  CHECK(pairs[0].column == "score.rejected");
  CHECK(pairs[1].column == "divergence.chosen");
  CHECK(pairs[2].column == "uniform");
  CHECK(pairs[2].row == 1);
  auto const examples = prefer::diagnose(prefer::unpaired_columns{.policy = good, .score = bad});
  REQUIRE(examples.size() == 1);
  CHECK(examples[0].column == "score");
}

}  // namespace

TEST_CASE("diagnose: a good batch has no findings", "[objective][diagnose]") {
  std::vector<float> const log_prob{-1.0F, -2.5F};
  std::vector<int> const length{1, 40};
  CHECK(prefer::diagnose(prefer::pair_columns{.policy = {log_prob, log_prob},
                                              .reference = {log_prob, log_prob},
                                              .length = {length, length}})
            .empty());
}

TEST_CASE("diagnose: the first bad element of each column is named with row and value",
          "[objective][diagnose]") {
  std::vector<double> const good{-1.0, -2.0, -3.0};
  std::vector<double> const bad{-1.0, not_a_number, infinity};
  std::vector<int> const length{3, 5, 0};
  std::vector<double> const beta{0.1, -0.1, 0.1};
  auto const found = prefer::diagnose(
      prefer::pair_columns{.policy = {good, bad}, .length = {good, length}, .beta = beta});
  REQUIRE(found.size() == 4);
  CHECK(found[0].column == "policy.rejected");
  CHECK(found[0].row == 1);
  CHECK(found[0].sentence == "policy.rejected[1] is nan; expected a finite log-probability");
  CHECK(found[1].column == "length.chosen");
  CHECK(found[1].row == 0);
  CHECK(found[2].column == "length.rejected");
  CHECK(found[2].row == 2);
  CHECK(found[2].value == 0.0);
  CHECK(found[3].column == "beta");
  CHECK(found[3].row == 1);
}

TEST_CASE("diagnose: unpaired and list batches, KL examples included", "[objective][diagnose]") {
  std::vector<double> const good{-1.0, -2.0};
  std::vector<double> const bad{-1.0, -infinity};
  auto const unpaired = prefer::diagnose(
      prefer::unpaired_columns{.policy = good, .kl_examples = {.policy = good, .reference = bad}});
  REQUIRE(unpaired.size() == 1);
  CHECK(unpaired[0].column == "kl_examples.reference");
  std::vector<std::size_t> const offset{0, 2};
  auto const list = prefer::diagnose(prefer::list_columns{.policy = bad, .offset = offset});
  REQUIRE(list.size() == 1);
  CHECK(list[0].row == 1);
}
