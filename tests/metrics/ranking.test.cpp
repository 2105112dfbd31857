// SPDX-License-Identifier: MIT
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <prefer/expects.hpp>
#include <prefer/metrics/ranking.hpp>
#include <prefer/random/distributions.hpp>
#include <prefer/random/philox.hpp>
#include <set>
#include <span>
#include <vector>

using numbers = std::vector<std::uint32_t>;

namespace {

numbers ranked(std::vector<float> const& score, numbers const& hidden, std::size_t most) {
  numbers out;
  prefer::best_items(std::span<float const>(score), std::span<std::uint32_t const>(hidden), most,
                     out);
  return out;
}

// Read straight off the definitions, with sets and a full sort.
struct plain {
  std::vector<std::uint32_t> ranking;
  double ndcg = 0.0;
  double recall = 0.0;

  plain(std::vector<float> const& score, std::set<std::uint32_t> const& hidden,
        std::set<std::uint32_t> liked, std::size_t cut) {
    for (std::uint32_t i = 0; i < score.size(); ++i) {
      if (hidden.count(i) == 0) ranking.push_back(i);
    }
    for (std::uint32_t const each : hidden) liked.erase(each);
    std::stable_sort(ranking.begin(), ranking.end(),
                     [&](auto a, auto b) { return score[a] > score[b]; });
    if (ranking.size() > cut) ranking.resize(cut);
    if (liked.empty()) return;
    double ideal = 0.0;
    for (std::size_t place = 1; place <= std::min(cut, liked.size()); ++place) {
      ideal += std::log(2.0) / std::log(static_cast<double>(place) + 1.0);
    }
    for (std::size_t place = 1; place <= ranking.size(); ++place) {
      if (liked.count(ranking[place - 1]) == 0) continue;
      ndcg += std::log(2.0) / std::log(static_cast<double>(place) + 1.0) / ideal;
      recall += 1.0 / static_cast<double>(liked.size());
    }
  }
};

}  // namespace

TEST_CASE("ranking: equal scores stand by number, and what has none stands last",
          "[metrics][ranking]") {
  float const none = std::numeric_limits<float>::quiet_NaN();
  CHECK(ranked({1, 3, 3, 2}, {}, 4) == numbers{1, 2, 3, 0});
  CHECK(ranked({7, 7, 7, 7}, {}, 3) == numbers{0, 1, 2});
  CHECK(ranked({none, 1, none, 2}, {}, 4) == numbers{3, 1, 0, 2});
  CHECK(ranked({1, 2}, {}, 0).empty());
}

TEST_CASE("ranking: what is hidden has no place, however few are left", "[metrics][ranking]") {
  CHECK(ranked({5, 4, 3, 2, 1}, {0, 2}, 2) == numbers{1, 3});
  CHECK(ranked({5, 4, 3}, {0, 1}, 10) == numbers{2});
  CHECK(ranked({5, 4}, {0, 1}, 10).empty());
}

TEST_CASE("ranking: quality by hand", "[metrics][ranking]") {
  // Places 2 and 3 of three hold what was to be found; a third thing was ranked below the cut.
  numbers const ranking = {4, 1, 7};
  numbers const relevant = {1, 2, 7};
  auto const quality = prefer::quality_of(ranking, relevant, 3);
  double const second = 1 / std::log2(3.0);
  double const third = 0.5;
  CHECK(quality.ndcg == Approx((second + third) / (1 + second + third)).epsilon(1e-15));
  CHECK(quality.hit_rate == 1.0);
  CHECK(quality.recall == Approx(2.0 / 3).epsilon(1e-15));
  CHECK(quality.precision == Approx(2.0 / 3).epsilon(1e-15));
  CHECK(quality.reciprocal_rank == 0.5);
  CHECK(prefer::quality_of(numbers{0}, relevant, 3).ndcg == 0.0);
  // A ranking with all that was to be found on top is perfect, whatever its length.
  CHECK(prefer::quality_of(numbers{7}, numbers{7}, 10).ndcg == 1.0);
  CHECK(prefer::quality_of(numbers{7, 1, 2}, relevant, 10).ndcg == Approx(1.0).epsilon(1e-15));
}

TEST_CASE("ranking: with nothing to be found there is no quality", "[metrics][ranking]") {
  CHECK_THROWS_WITH(prefer::quality_of(numbers{1}, numbers{}, 3),
                    Catch::Contains("there is nothing to be found"));
  CHECK_THROWS_WITH(prefer::quality_of(numbers{1}, numbers{1}, 0), Catch::Contains("cut"));
}

TEST_CASE("ranking: random rankings agree with the definitions, ties and hidden items included",
          "[metrics][ranking]") {
  std::size_t judged = 0;
  for (std::uint64_t round = 0; round < 400; ++round) {
    prefer::random_stream draw(
        {.seed = 7, .purpose = prefer::random_purpose::user, .index = round});
    std::size_t const items = 1 + prefer::below(draw, 30);
    std::size_t const cut = 1 + prefer::below(draw, 12);
    std::vector<float> score(items);
    std::set<std::uint32_t> hidden;
    std::set<std::uint32_t> liked;
    for (std::uint32_t i = 0; i < items; ++i) {
      score[i] = static_cast<float>(prefer::below(draw, 8));  // so few values that many tie
      if (prefer::below(draw, 4) == 0) hidden.insert(i);
      if (prefer::below(draw, 3) == 0) liked.insert(i);
    }
    INFO("round " << round);
    numbers const hidden_items(hidden.begin(), hidden.end());
    numbers const ours = ranked(score, hidden_items, cut);
    plain const theirs(score, hidden, liked, cut);
    REQUIRE(ours == theirs.ranking);
    numbers const to_find = prefer::items_not_in(numbers(liked.begin(), liked.end()), hidden_items);
    if (to_find.empty()) continue;
    ++judged;
    auto const quality = prefer::quality_of(ours, to_find, cut);
    CHECK(quality.ndcg == Approx(theirs.ndcg).margin(1e-14));
    CHECK(quality.recall == Approx(theirs.recall).margin(1e-14));
    CHECK(quality.ndcg <= 1.0 + 1e-15);
    CHECK(quality.hit_rate == (theirs.ndcg > 0 ? 1.0 : 0.0));
  }
  CHECK(judged > 300);
}
