// SPDX-License-Identifier: MIT
//
// What `recommend --method` says of its methods is arithmetic of what it hands over.

#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <program/json.hpp>
#include <string>
#include <vector>

#include "workplace.hpp"

using namespace prefer::test;

TEST_CASE(
    "recommend --method: means, errors and paired differences follow from each person's NDCG@10",
    "[examples][recommend][methods]") {
  workplace const folder("recommend", PREFER_EXAMPLE_RECOMMEND);
  folder.file("ratings.inter", tiny_ratings());
  auto const run = folder.run(
      "--ratings ratings.inter --factors 4 --start-epochs 2 --epochs 1 --pairs 5 --batch-size 16 "
      "--method dpo ppo best_of_n --beta 1 2 --seeds 3 --json --output out");
  REQUIRE(run.code == 0);
  auto const document = program::json::parse(run.out);
  using people = std::vector<double>;
  auto const of = [&](program::json const& what) {  // of each seed
    std::vector<people> out;
    for (auto const& row : document.at("rows")) {
      if (row.at("method") != what.at("method") || row.at("strength") != what.at("strength")) {
        continue;
      }
      out.emplace_back();
      for (auto const& each : row.at("ndcg_of")) {
        if (!each.is_null()) out.back().push_back(each.get<double>());
      }
    }
    return out;
  };
  auto const mean = [](people const& values) {
    double out = 0.0;
    for (double const each : values) out += each / static_cast<double>(values.size());
    return out;
  };
  auto const square_of_error = [&](people const& values) {
    double const middle = mean(values);
    double squares = 0.0;
    for (double const each : values) squares += (each - middle) * (each - middle);
    auto const count = static_cast<double>(values.size());
    return squares / (count - 1.0) / count;
  };
  // Numbers below 1, added up in another order.
  auto const agrees = [&](std::vector<people> const& seeds, program::json const& said) {
    people person(seeds.front().size()), seed;
    for (people const& each : seeds) {
      seed.push_back(mean(each));
      for (std::size_t p = 0; p < person.size(); ++p) person[p] += each[p] / 3.0;
    }
    CHECK(said.at("mean").get<double>() == Approx(mean(person)).margin(1e-12));
    CHECK(said.at("standard_error").get<double>() ==
          Approx(std::sqrt(square_of_error(person) + square_of_error(seed))).margin(1e-12));
  };
  program::json const* best = nullptr;
  for (auto const& each : document.at("summary")) {
    if (each.at("method") != "dpo") continue;
    auto const ndcg = [](program::json const& one) {
      return one.at("ndcg_at_10").at("mean").get<double>();
    };
    if (best == nullptr || ndcg(each) > ndcg(*best)) best = &each;
  }
  REQUIRE(best != nullptr);
  auto const of_best = of(*best);
  std::size_t against = 0;
  for (auto const& each : document.at("summary")) {
    INFO(each.at("method") << ' ' << each.at("strength"));
    auto seeds = of(each);
    REQUIRE(seeds.size() == 3);
    agrees(seeds, each.at("ndcg_at_10"));
    if (each.at("over_dpo").is_null()) continue;
    ++against;
    for (std::size_t s = 0; s < 3; ++s) {
      for (std::size_t p = 0; p < seeds[s].size(); ++p) seeds[s][p] -= of_best[s][p];
    }
    agrees(seeds, each.at("over_dpo"));
  }
  CHECK(against + 1 == document.at("summary").size());
}
