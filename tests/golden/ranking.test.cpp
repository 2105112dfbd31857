// SPDX-License-Identifier: MIT
#include <cstdint>
#include <fstream>
#include <span>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <prefer/metrics/ranking.hpp>

// Rankings as ranx judges them: tests/golden/ranking/README.md.

TEST_CASE("golden: rankings are worth what ranx says", "[golden][ranking]") {
  std::ifstream stream(std::string(PREFER_GOLDEN_DIR) + "/ranking/ranking.json");
  auto const file = nlohmann::json::parse(stream);
  auto const& cases = file.at("cases");
  REQUIRE(cases.size() == 48);
  std::vector<std::uint32_t> list;
  for (auto const& row : cases) {
    INFO(row.dump());
    auto const score = row.at("scores").get<std::vector<double>>();
    auto const hidden = row.at("hidden").get<std::vector<std::uint32_t>>();
    auto const liked = row.at("liked").get<std::vector<std::uint32_t>>();
    auto const cut = row.at("cut").get<std::size_t>();
    prefer::best_items(std::span(score), std::span(hidden), cut, list);
    auto const ours = prefer::quality_of(list, prefer::items_not_in(liked, hidden), cut);
    // Sums of at most ten doubles in two orders.
    CHECK(ours.ndcg == Approx(row.at("ndcg").get<double>()).margin(1e-14));
    CHECK(ours.hit_rate == row.at("hit_rate").get<double>());
    CHECK(ours.recall == Approx(row.at("recall").get<double>()).margin(1e-14));
    CHECK(ours.precision == Approx(row.at("precision").get<double>()).margin(1e-14));
    CHECK(ours.reciprocal_rank == Approx(row.at("reciprocal_rank").get<double>()).margin(1e-14));
  }
}
