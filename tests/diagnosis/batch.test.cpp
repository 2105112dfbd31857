// SPDX-License-Identifier: MIT
#include <limits>
#include <vector>

#include <catch2/catch.hpp>

#include <prefer/diagnosis/batch.hpp>
#include <prefer/loss/bradley_terry.hpp>
#include <prefer/loss/meaning.hpp>
#include <prefer/loss/odpo.hpp>
#include <prefer/loss/pro.hpp>
#include <prefer/loss/sppo.hpp>

namespace {

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

TEST_CASE("diagnose: scores and what a policy over tokens says are columns like others",
          "[objective][diagnose]") {
  std::vector<double> const good = {-1.0, -2.0}, positive = {1.0, 2.0}, bad = {0.5, std::nan("")};
  auto const pairs = prefer::diagnose(prefer::pair_columns{
      .policy = {good, good}, .score = {good, bad}, .divergence = {bad, positive}, .uniform = bad});
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
  CHECK(found[0].sentence ==
        "policy.rejected[1] is nan; expected a log-probability, finite and at most 0");
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

TEST_CASE("diagnose: log-probabilities above 0, negative weights and labels between are found",
          "[objective][diagnose]") {
  std::vector<double> const good{-1.0, -2.0}, losses{1.0, 2.0}, weight{1.0, -1.0},
      label{1.0, not_a_number};
  auto const pairs =
      prefer::diagnose(prefer::pair_columns{.policy = {losses, good}, .weight = weight});
  REQUIRE(pairs.size() == 2);
  CHECK(pairs[0].sentence ==
        "policy.chosen[0] is 1.000000; expected a log-probability, finite and at most 0");
  CHECK(pairs[1].sentence == "weight[1] is -1.000000; expected a finite number, zero or greater");
  auto const examples = prefer::diagnose(prefer::unpaired_columns{.policy = good, .label = label});
  REQUIRE(examples.size() == 1);
  CHECK(examples[0].sentence == "label[1] is nan; expected true or 1, or false or 0");
}

TEST_CASE("diagnose: knows what a loss takes a batch for", "[objective][diagnose]") {
  using prefer::meaning_of;
  std::vector<double> const y{-1.0, -2.0}, high{0.75, 0.5}, low{0.25, 0.5}, rewards{5.0, 3.0};
  prefer::pair_columns const equal{.policy = {y, y}, .reference = {y, y}, .score = {high, low}};
  CHECK(prefer::diagnose(equal, meaning_of<prefer::sppo_soft>).empty());
  auto const ordered = prefer::diagnose(equal, meaning_of<prefer::odpo>);
  REQUIRE(ordered.size() == 1);
  CHECK(ordered[0].column == "score.rejected");
  CHECK(ordered[0].row == 1);
  prefer::pair_columns const rewarded{.policy = {y, y}, .score = {rewards, low}};
  CHECK(prefer::diagnose(rewarded).empty());
  auto const wins = prefer::diagnose(rewarded, meaning_of<prefer::sppo_soft>);
  REQUIRE(wins.size() == 1);
  CHECK(wins[0].sentence == "score.chosen[0] is 5.000000; expected a probability, from 0 to 1");
  // A reward model's scores are of either sign.
  CHECK(prefer::diagnose(prefer::pair_columns{.policy = {rewards, low}},
                         meaning_of<prefer::bradley_terry>)
            .empty());
  std::vector<std::size_t> const offset{0, 2};
  auto const rising = prefer::diagnose(
      prefer::list_columns{.policy = y, .score = y, .offset = offset}, meaning_of<prefer::pro>);
  CHECK(rising.empty());
  std::vector<double> const up{0.5, 0.75};
  auto const found = prefer::diagnose(
      prefer::list_columns{.policy = y, .score = up, .offset = offset}, meaning_of<prefer::pro>);
  REQUIRE(found.size() == 1);
  CHECK(found[0].sentence ==
        "score[1] of list 0 is 0.750000; expected at most the one before it, 0.500000");
}
