// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cstdio>
#include <prefer/diagnosis/batch.hpp>
#include <prefer/diagnosis/training.hpp>
#include <prefer/model/tabular.hpp>
#include <prefer/prefer.hpp>
#include <span>
#include <string>
#include <vector>

namespace {

/// Of six completions of every prompt each is better than the next.
prefer::choice_data preferences() {
  prefer::choice_data data;
  for (std::uint32_t prompt = 0; prompt < 4; ++prompt) {
    for (std::uint32_t y = 0; y < 5; ++y) data.add_pair(prompt, y, y + 1);
  }
  data.length.assign(data.completion.size(), 1.0f);
  return data;
}

}  // namespace

TEST_CASE("diagnosis: a report of a run names what is wrong", "[docs][diagnosis]") {
  std::vector<std::string> said;
  // [report]
  prefer::choice_data const data = preferences();
  prefer::tabular<double> policy(4, 6);
  auto reference = prefer::frozen(policy);
  prefer::dpo const loss{.beta = 0.5};

  prefer::training_report report{.reference_is_start = true};
  auto const look = [&] {
    prefer::scored_pairs const pairs = prefer::score_pairs(policy, reference, data);
    return prefer::summary_of(pairs.columns(), loss);
  };
  report.start = look();
  prefer::trainer training(policy, loss, reference, data, {.epochs = 200, .rate = 0.05});
  training.run([&](prefer::step_report const& step) { report.steps.push_back(step); });
  report.end = look();

  for (prefer::training_finding const& finding : prefer::diagnose_training(report)) {
    std::printf("%s\n", finding.sentence.c_str());
    for (prefer::suggestion const& each : finding.suggestions) std::printf("  %s\n", each.action);
    said.push_back(finding.sentence);
  }
  // [/report]
  REQUIRE(said.size() == 1);
  CHECK(said[0].find("80 % of the chosen completions fell below the reference") == 0);
}

TEST_CASE("diagnosis: metrics go to a log under TRL's names", "[docs][diagnosis]") {
  std::vector<float> const policy_chosen = {-12.0f, -20.0f}, policy_rejected = {-15.0f, -18.0f};
  std::vector<float> const reference_chosen = {-13.0f, -19.0f},
                           reference_rejected = {-14.0f, -19.0f};
  std::vector<int> const chosen_length = {6, 8}, rejected_length = {5, 9};
  int lines = 0;
  // [names]
  prefer::pair_columns const batch{
      .policy = {.chosen = policy_chosen, .rejected = policy_rejected},
      .reference = {.chosen = reference_chosen, .rejected = reference_rejected},
      .length = {.chosen = chosen_length, .rejected = rejected_length}};
  auto const log = [&](char const* name, double mean) {
    std::printf("%s %g\n", name, mean);  // rewards/chosen 0, rewards/rejected 0, ...
    ++lines;
  };
  prefer::for_each_metric(prefer::metrics(batch, prefer::reward_rule_of(prefer::dpo{})), log);
  prefer::for_each_metric(prefer::likelihood(batch), log);
  // [/names]
  CHECK(lines == 9);
}

TEST_CASE("diagnosis: parts of a batch are added before they are divided", "[docs][diagnosis]") {
  std::vector<double> const a = {-1.0}, b = {-2.0, -3.0}, zero = {0.0, 0.0};
  auto const columns = [&](std::vector<double> const& chosen) {
    return prefer::pair_columns{.policy = {chosen, std::span(zero).first(chosen.size())}};
  };
  auto const mine = columns(a);
  auto const theirs = columns(b);
  // [add]
  prefer::pair_metrics const sums = prefer::metrics(mine, 0.1) + prefer::metrics(theirs, 0.1);
  double const log_prob = sums.log_prob_chosen.mean();  // of all three pairs
  // [/add]
  CHECK(log_prob == -2.0);
}

TEST_CASE("diagnosis: KL needs completions that the policy wrote", "[docs][diagnosis]") {
  std::vector<double> const policy = {-1.0, -2.0};
  std::vector<double> const reference = {-2.0, -2.5};
  // [kl]
  prefer::kl_estimates const kl = prefer::estimate_kl(policy, reference);  // log_prob of samples
  double const unbiased = kl.k3.mean();  // nats per completion, never negative
  // [/kl]
  CHECK(unbiased > 0.0);
}
