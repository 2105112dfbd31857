// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <map>
#include <prefer/aggregation/sampled_tokens.hpp>

#include "token_weights.hpp"

using namespace prefer;
using Catch::Matchers::Contains;

namespace {

std::size_t count_of(std::vector<double> const& weights, std::size_t begin, std::size_t end) {
  std::size_t count = 0;
  for (std::size_t t = begin; t != end; ++t) {
    if (weights[t] != 0) {
      CHECK(weights[t] == 1);
      ++count;
    }
  }
  return count;
}

}  // namespace

TEST_CASE("sampled_tokens: as many tokens of the longer completion count as the shorter has",
          "[aggregation][sampo]") {
  test::lengths_only pairs({{2, 5}, {6, 3}, {4, 4}});
  for (pairs.draw = 0; pairs.draw != 20; ++pairs.draw) {
    auto const weights = test::weights_of(sampled_tokens{.seed = 3}, pairs);
    CHECK(count_of(weights, 0, 2) == 2);
    CHECK(count_of(weights, 2, 7) == 2);
    CHECK(count_of(weights, 7, 13) == 3);
    CHECK(count_of(weights, 13, 16) == 3);
    CHECK(count_of(weights, 16, 24) == 8);
  }
}

TEST_CASE("sampled_tokens: every subset is drawn equally often", "[aggregation][sampo]") {
  // Ten subsets of 2 of 5 tokens; counts within five standard deviations of the binomial.
  test::lengths_only pair({{2, 5}});
  constexpr std::uint64_t draws = 20000;
  std::map<std::vector<double>, std::size_t> count;
  for (pair.draw = 0; pair.draw != draws; ++pair.draw) {
    ++count[test::weights_of(sampled_tokens{.seed = 3}, pair)];
  }
  CHECK(count.size() == 10);
  for (auto const& [subset, times] : count) {
    CHECK(std::abs(static_cast<double>(times) - draws * 0.1) <= 5 * std::sqrt(draws * 0.1 * 0.9));
  }
}

TEST_CASE("sampled_tokens: the draw is where seed, step and row say", "[aggregation][sampo]") {
  // One of 100 tokens each: unequal addresses agree with probability 1/100 per pair.
  test::lengths_only pairs(std::vector<std::vector<std::size_t>>(5, {1, 100}));
  sampled_tokens const draw{.seed = 3};
  auto const first = test::weights_of(draw, pairs);
  CHECK(test::weights_of(draw, pairs) == first);
  CHECK(test::weights_of(sampled_tokens{.seed = 4}, pairs) != first);
  pairs.draw = 1;
  CHECK(test::weights_of(draw, pairs) != first);
  pairs.draw = 0;
  pairs.row = {5, 6, 7, 8, 9};
  CHECK(test::weights_of(draw, pairs) != first);

  // A row keeps its draw wherever in a batch it comes.
  pairs.row = {4, 3, 2, 1, 0};
  auto const reversed = test::weights_of(draw, pairs);
  for (std::size_t g = 0; g != 5; ++g) {
    std::vector<double> const here(first.begin() + static_cast<std::ptrdiff_t>(101 * g),
                                   first.begin() + static_cast<std::ptrdiff_t>(101 * (g + 1)));
    std::vector<double> const there(reversed.begin() + static_cast<std::ptrdiff_t>(101 * (4 - g)),
                                    reversed.begin() + static_cast<std::ptrdiff_t>(101 * (5 - g)));
    CHECK(here == there);
  }
}

TEST_CASE("sampled_tokens: a batch without rows is refused", "[aggregation][sampo]") {
  test::lengths_only pairs({{2, 5}, {6, 3}});
  pairs.row.clear();
  CHECK_THROWS_WITH(test::weights_of(sampled_tokens{}, pairs),
                    Contains("sampled_tokens: the batch has 0 row numbers for 2 groups"));
}
