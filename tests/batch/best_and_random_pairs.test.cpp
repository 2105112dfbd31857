// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <prefer/batch/best_and_random_pairs.hpp>
#include <vector>

using namespace prefer;
using Catch::Matchers::Contains;

namespace {

using ids = std::vector<std::uint32_t>;

choice_data scored() {
  choice_data data;
  data.add_list(4, ids{10, 11, 12, 13});
  data.add_list(5, ids{20, 21});
  data.score = {1, 3, 2, 3, 0.5f, -0.5f};
  return data;
}

}  // namespace

TEST_CASE("best_and_random_pairs: the best is chosen, one with a lower score rejected",
          "[batch][best_and_random_pairs]") {
  for (std::uint64_t seed = 0; seed != 30; ++seed) {
    auto const pairs = best_and_random_pairs(scored(), seed);
    REQUIRE(pairs.size() == 2);
    CHECK(pairs.prompt == ids{4, 5});
    // 11 and 13 are equally good: the first is chosen, the second never rejected.
    CHECK(pairs.completion[0] == 11);
    CHECK((pairs.completion[1] == 10 || pairs.completion[1] == 12));
    CHECK(pairs.completion[2] == 20);
    CHECK(pairs.completion[3] == 21);
    CHECK(pairs.score[0] == 3);
    CHECK(pairs.score[1] == (pairs.completion[1] == 10 ? 1 : 2));
    CHECK(pairs.score[3] == -0.5f);
    pairs.expects_shapes("test");
  }
}

TEST_CASE("best_and_random_pairs: each of those with a lower score is drawn equally often",
          "[batch][best_and_random_pairs]") {
  choice_data data;
  constexpr std::size_t rows = 6000;
  for (std::size_t g = 0; g != rows; ++g) {
    data.add_list(0, ids{0, 1, 2, 3});
    for (float const each : {1.0f, 4.0f, 2.0f, 3.0f}) data.score.push_back(each);
  }
  auto const pairs = best_and_random_pairs(data, 11);
  std::vector<std::size_t> count(4);
  for (std::size_t g = 0; g != rows; ++g) ++count[pairs.completion[2 * g + 1]];
  CHECK(count[1] == 0);
  for (std::size_t const y : {0u, 2u, 3u}) {
    // Within five standard deviations of a binomial with p = 1/3.
    CHECK(std::abs(static_cast<double>(count[y]) - rows / 3.0) <= 5 * std::sqrt(rows * 2 / 9.0));
  }
}

TEST_CASE("best_and_random_pairs: a row's draw depends on seed and row alone",
          "[batch][best_and_random_pairs]") {
  choice_data data;
  for (int g = 0; g != 40; ++g) {
    data.add_list(0, ids{0, 1, 2, 3});
    for (float const each : {1.0f, 4.0f, 2.0f, 3.0f}) data.score.push_back(each);
  }
  auto const first = best_and_random_pairs(data, 11);
  CHECK(best_and_random_pairs(data, 11).completion == first.completion);
  CHECK(best_and_random_pairs(data, 12).completion != first.completion);
  data.score[3] = 0;  // of row 0
  auto const changed = best_and_random_pairs(data, 11);
  CHECK(std::equal(changed.completion.begin() + 2, changed.completion.end(),
                   first.completion.begin() + 2));
}

TEST_CASE("best_and_random_pairs: a row that prefers nothing gives no pair",
          "[batch][best_and_random_pairs]") {
  choice_data data;
  data.add_list(1, ids{0, 1});
  data.add_list(2, ids{0, 1});
  data.add_list(3, ids{0});
  data.score = {2, 2, 1, 2, 5};
  data.weight = {0.1f, 0.2f, 0.3f};
  data.beta = {1, 2, 3};
  data.length = {7, 8, 9, 10, 11};
  auto const pairs = best_and_random_pairs(data, 1);
  CHECK(pairs.prompt == ids{2});
  CHECK(pairs.completion == ids{1, 0});
  CHECK(pairs.weight == std::vector<float>{0.2f});
  CHECK(pairs.beta == std::vector<float>{2});
  CHECK(pairs.length == std::vector<float>{10, 9});
  CHECK(pairs.score == std::vector<float>{2, 1});
}

TEST_CASE("best_and_random_pairs: what cannot be ranked is refused",
          "[batch][best_and_random_pairs]") {
  auto data = scored();
  data.score.clear();
  CHECK_THROWS_WITH(best_and_random_pairs(data, 1),
                    "best_and_random_pairs: score has 0 elements, expected 6");
  data = scored();
  data.score[5] = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_WITH(best_and_random_pairs(data, 1), Contains("a score of row 1 is NaN"));
  data = scored();
  data.target_margin = {1, 1};
  CHECK_THROWS_WITH(best_and_random_pairs(data, 1), Contains("target_margin"));
}
