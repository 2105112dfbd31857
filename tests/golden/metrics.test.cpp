// SPDX-License-Identifier: MIT
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include <prefer/loss/kto.hpp>
#include <prefer/metrics/likelihood.hpp>
#include <prefer/metrics/rewards.hpp>

#include "golden.hpp"

// Metrics as TRL's trainers have logged them, means over a batch.

namespace {

using named_values = std::map<std::string, double>;

golden::golden_file family(std::string const& name) {
  std::string path = PREFER_GOLDEN_DIR "/";
  path += name;
  path += ".json";
  return golden::read(path);
}

double size_of(std::vector<double> const& numbers) {
  double sum = 0.0;
  for (double const each : numbers) sum += std::abs(each);
  return sum;
}

/// Doubles of two programs that add up in different orders: as tests/golden/README.md says, and for means
/// that cancel some ulps of the largest number that went in.
void check_near(double ours, double trl, double largest) {
  CHECK(std::abs(ours - trl) <= 1e-12 * std::abs(trl) + 4e-16 * largest + 2e-15);
}

}  // namespace

TEST_CASE("golden: metrics of labelled completions are those that KTOTrainer logs",
          "[golden][metrics]") {
  std::size_t compared = 0;
  std::size_t without_margin = 0;
  auto const file = family("kto");
  for (auto const& row : golden::cases_of(file)) {
    if (!row.finite || !row.fields->contains("logged")) continue;
    INFO(row.id);
    auto const policy = row.input("policy");
    auto const reference = row.input("ref");
    auto const label = row.input("label");
    double const beta = row.value("beta", 0.1);
    double const largest = beta * (size_of(policy) + size_of(reference));
    named_values ours;
    for_each_metric(
        prefer::metrics(
            prefer::unpaired_columns{.policy = policy, .reference = reference, .label = label},
            beta),
        [&](std::string const& name, double value) {
          if (name.rfind("rewards/", 0) == 0) ours[name] = value;
        });
    auto const& logged = (*row.fields)["logged"];
    CHECK(ours.size() ==
          logged.size());  // a class that is absent is not logged, nor is a margin then
    for (auto const& [name, value] : ours) {
      INFO(name);
      REQUIRE(logged.contains(name));
      check_near(value, logged[name].get<double>(), largest);
      ++compared;
    }
    if (!logged.contains("rewards/margins")) ++without_margin;
  }
  CHECK(compared > 100);
  CHECK(without_margin > 0);
}

TEST_CASE("golden: KTO's state is TRL's \"kl\"", "[golden][metrics]") {
  std::size_t compared = 0;
  auto const file = family("kto");
  for (auto const& row : golden::cases_of(file)) {
    if (row.loss_type != "kto" || !row.finite || !row.fields->contains("kl")) continue;
    INFO(row.id);
    auto const policy = row.input("policy");
    auto const reference = row.input("ref");
    auto const label = row.input("label");
    auto const kl_policy = row.input("kl_policy");
    auto const kl_ref = row.input("kl_ref");
    prefer::nothing memory;
    auto const state = prefer::prepare(
        prefer::kto{},
        prefer::unpaired_columns{.policy = policy,
                                 .reference = reference,
                                 .label = label,
                                 .kl_examples = {.policy = kl_policy, .reference = kl_ref}},
        memory);
    for_each_state_metric(prefer::kto{}, state, [&](std::string const& name, double value) {
      CHECK(name == "kl");
      check_near(value, (*row.fields)["kl"].get<double>(), size_of(kl_policy) + size_of(kl_ref));
      ++compared;
    });
  }
  CHECK(compared > 30);
}

TEST_CASE("golden: rewards and log odds are those that ORPOTrainer logs", "[golden][metrics]") {
  std::size_t compared = 0;
  auto const file = family("orpo");
  for (auto const& row : golden::cases_of(file)) {
    if (!row.finite || !row.fields->contains("log_odds_chosen")) continue;
    INFO(row.id << " " << row.inputs_name);
    // Averages per token, so completions of one token.
    auto const chosen = row.input("policy_chosen");
    auto const rejected = row.input("policy_rejected");
    std::vector<double> const one(chosen.size(), 1.0);
    prefer::pair_columns const columns{.policy = {chosen, rejected}, .length = {one, one}};
    auto const odds = prefer::likelihood(columns);
    double const largest = size_of(chosen) + size_of(rejected);
    check_near(odds.log_odds_margin.mean(), (*row.fields)["log_odds_chosen"].get<double>(),
               largest);
    check_near(odds.log_odds_ratio.mean(), (*row.fields)["log_odds_ratio"].get<double>(), largest);

    double const beta = row.value("beta", 0.1);
    auto const rewards = prefer::metrics(columns, {.beta = beta, .per_token = true});
    double trl = 0.0;
    for (auto const& each : (*row.fields)["chosen_rewards"]) trl += each.get<double>();
    check_near(rewards.reward_chosen.sum, trl, beta * largest);
    ++compared;
  }
  CHECK(compared > 15);
}
