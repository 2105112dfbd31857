// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <prefer/loss/compose.hpp>
#include <prefer/loss/kto.hpp>
#include <prefer/metrics/rewards.hpp>
#include <span>
#include <string>
#include <train/small_problem.hpp>
#include <type_traits>
#include <utility>
#include <vector>

using prefer::metrics;
using prefer::pair_columns;
using small::message_of;

namespace {

// What for_each_metric visits, in order.
using named_values = std::vector<std::pair<std::string, double>>;
named_values named(auto const& sums) {
  named_values out;
  for_each_metric(sums, [&](char const* name, double value) { out.emplace_back(name, value); });
  return out;
}

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
        "metrics: reference is given for chosen completions only; expected both or neither");
  CHECK(refusal([&](pair_columns& c) { c.reference.chosen = {}; }) ==
        "metrics: reference is given for rejected completions only; expected both or neither");
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

TEST_CASE("metrics: log-probabilities are means of sums, per token where the rule is",
          "[objective][metrics]") {
  three_pairs const at;
  auto const sums = metrics(at.columns(), 0.5);
  CHECK(sums.log_prob_chosen.sum == -6);  // beta and reference have no say
  CHECK(sums.log_prob_rejected.sum == -7);

  std::vector<double> const length = {2, 1, 4};
  auto columns = at.columns();
  columns.length = {length, length};
  auto const per_token = metrics(columns, prefer::reward_rule{.beta = 0.5, .per_token = true});
  CHECK(per_token.log_prob_chosen.sum == -4.25);   // -2/2 - 3/1 - 1/4
  CHECK(per_token.log_prob_rejected.sum == -3.5);  // -4/2 - 1/1 - 2/4
}

TEST_CASE("metrics: of pairs have TRL's names", "[objective][metrics]") {
  three_pairs const at;
  auto const sums = metrics(at.columns(), 0.5) + metrics(at.columns(), 0.5);
  auto const third = [](double sum) { return Approx(sum / 3); };
  auto const values = named(sums);
  REQUIRE(values.size() == 6);
  CHECK(values[0].first == "rewards/chosen");
  CHECK(values[0].second == third(1.25));
  CHECK(values[1].first == "rewards/rejected");
  CHECK(values[1].second == third(0.75));
  CHECK(values[2].first == "rewards/margins");
  CHECK(values[2].second == third(0.5));
  CHECK(values[3].first == "rewards/accuracies");
  CHECK(values[3].second == third(1));
  CHECK(values[4].first == "logps/chosen");
  CHECK(values[4].second == -2);
  CHECK(values[5].first == "logps/rejected");
  CHECK(values[5].second == third(-7));
  CHECK(named(prefer::pair_metrics{}).empty());  // nothing measured, nothing logged
}

TEST_CASE(
    "metrics: of labelled completions are class means, and their margin is a difference of means",
    "[objective][metrics]") {
  // Log-ratios 1, -2, 4, 3; the second and the last are undesirable.
  std::vector<double> const policy = {-2, -5, -1, -4};
  std::vector<double> const reference = {-3, -3, -5, -7};
  bool const label[] = {true, false, true, false};
  prefer::unpaired_columns const columns{.policy = policy, .reference = reference, .label = label};
  auto const sums = metrics(columns, 0.5);
  CHECK(sums.reward_desirable.mean() == 1.25);    // (1 + 4) / 2 / 2
  CHECK(sums.reward_undesirable.mean() == 0.25);  // (-2 + 3) / 2 / 2
  CHECK(sums.reward_margin() == 1);
  CHECK(named(sums) == named_values{{"rewards/chosen", 1.25},
                                    {"rewards/rejected", 0.25},
                                    {"logps/chosen", -1.5},
                                    {"logps/rejected", -4.5},
                                    {"rewards/margins", 1}});

  // Unequal classes: the mean of 1, 4 and 9 is not weighed against the mean of the rest by counts.
  std::vector<double> const beta = {1, 1, 1, 3};
  bool const more[] = {true, false, true, true};
  auto weighted = columns;
  weighted.beta = beta;
  weighted.label = more;
  CHECK(metrics(weighted, 100.0).reward_margin() == Approx(14.0 / 3 + 2));
  // A sum of two batches has the margin of the batch of both.
  auto const both = sums + metrics(weighted, 100.0);
  CHECK(both.reward_margin() == Approx((2.5 + 14) / 5 - (0.5 - 2) / 3));
}

TEST_CASE("metrics: without a class there is no margin", "[objective][metrics]") {
  std::vector<double> const policy = {-2};
  bool const label[] = {false};
  auto const sums = metrics(prefer::unpaired_columns{.policy = policy, .label = label}, 1.0);
  CHECK(std::isnan(sums.reward_margin()));
  CHECK(named(sums) == named_values{{"rewards/rejected", -2}, {"logps/rejected", -2}});
}

TEST_CASE("metrics: of labelled completions need labels, and lengths where the rule does",
          "[objective][metrics]") {
  std::vector<double> const policy = {-2, -6};
  std::vector<double> const length = {1, 3};
  bool const label[] = {true, true};
  prefer::unpaired_columns columns{.policy = policy};
  CHECK(message_of([&] { (void)metrics(columns, 1.0); }) ==
        "metrics: label has 0 elements, expected 2");
  columns.label = label;
  prefer::reward_rule const per_token{.beta = 2.0, .per_token = true};
  CHECK(message_of([&] { (void)metrics(columns, per_token); }) ==
        "metrics: length has 0 elements, expected 2");
  columns.length = length;
  CHECK(metrics(columns, per_token).reward_desirable.mean() == -4);  // 2 * (-2 - 2) / 2
  columns.reference = std::span(policy).first(1);
  CHECK(message_of([&] { (void)metrics(columns, 1.0); }) ==
        "metrics: reference has 1 elements, expected 2");
}

TEST_CASE("metrics: a loss reports its state by name, alone and inside sums",
          "[objective][metrics]") {
  // Mismatched log-ratios 1 and 2: KTO's baseline is their mean.
  std::vector<double> const policy = {-1, -2};
  std::vector<double> const reference = {-2, -4};
  bool const label[] = {true, false};
  prefer::unpaired_columns const columns{
      .policy = policy, .reference = reference, .label = label, .kl_examples = {policy, reference}};
  auto const reported = [&](auto const& loss) {
    prefer::loss_memory<std::remove_cvref_t<decltype(loss)>> memory{};
    named_values out;
    for_each_state_metric(loss, prefer::prepare(loss, columns, memory),
                          [&](char const* name, double value) { out.emplace_back(name, value); });
    return out;
  };
  auto const plain = prefer::unpaired_loss([](auto const& e) { return -e.log_prob; });
  CHECK(reported(prefer::kto{}) == named_values{{"kl", 1.5}});
  CHECK(reported(0.5 * prefer::kto{}) == named_values{{"kl", 1.5}});
  CHECK(reported(plain + 0.5 * prefer::kto{}) == named_values{{"kl", 1.5}});
  CHECK(reported(prefer::kto{} + prefer::kto{}).size() == 2);
  CHECK(reported(plain).empty());
}
