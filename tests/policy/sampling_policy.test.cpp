// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include <catch2/catch.hpp>

#include <prefer/aggregation/mean_tokens.hpp>
#include <prefer/model/bigram.hpp>
#include <prefer/model/tabular.hpp>
#include <prefer/policy/aggregated.hpp>
#include <prefer/policy/sampling_policy.hpp>
#include <support/sampling_archetypes.hpp>

using namespace prefer;

namespace {

using lacks = test::sampling_lacks;
template <lacks L>
using without = test::sampling_archetype<L>;

constexpr std::size_t draws = 20000;

random_address at(std::uint64_t index) {
  return {.seed = 11, .purpose = random_purpose::completion, .index = index};
}

/// How often each token comes, of `draws` draws at addresses of their own.
std::vector<double> frequencies(std::vector<double> const& log_prob, sampling_options const& how) {
  token_sampler draw(how);
  std::vector<double> count(log_prob.size());
  for (std::uint64_t i = 0; i != draws; ++i) {
    random_stream numbers(at(i));
    count[draw(std::span<double const>(log_prob), numbers)] += 1;
  }
  return count;
}

// The statistic sum (count - expected)^2 / expected has k - 1 degrees of freedom, so mean k - 1 and variance 2 (k - 1);
// the limit lies five standard deviations above. What has probability 0 must not come at all.
void check_frequencies(std::vector<double> const& count, std::vector<double> const& probability) {
  double statistic = 0;
  double degrees = -1;
  for (std::size_t v = 0; v != count.size(); ++v) {
    CAPTURE(v, count[v], probability[v]);
    if (probability[v] == 0) {
      CHECK(count[v] == 0);
      continue;
    }
    double const expected = static_cast<double>(draws) * probability[v];
    statistic += (count[v] - expected) * (count[v] - expected) / expected;
    degrees += 1;
  }
  CHECK(statistic <= degrees + 5 * std::sqrt(2 * degrees));
}

// Probabilities 1/16, 4/16, 4/16, 6/16, 1/16, shifted by 3 nats: log-probabilities up to a constant will do.
std::vector<double> const scores = {3 + std::log(1 / 16.0), 3 + std::log(4 / 16.0),
                                    3 + std::log(4 / 16.0), 3 + std::log(6 / 16.0),
                                    3 + std::log(1 / 16.0)};

}  // namespace

TEST_CASE("SamplingPolicy: each missing piece makes the concept false", "[policy][sampling]") {
  STATIC_REQUIRE(SamplingPolicy<without<lacks::nothing>>);
  STATIC_REQUIRE_FALSE(SamplingPolicy<without<lacks::sample>>);
  STATIC_REQUIRE_FALSE(SamplingPolicy<without<lacks::options>>);
  STATIC_REQUIRE_FALSE(SamplingPolicy<without<lacks::table>>);
  STATIC_REQUIRE_FALSE(SamplingPolicy<tabular<float>>);
  STATIC_REQUIRE(SamplingPolicy<bigram<float>>);
  STATIC_REQUIRE(SamplingPolicy<aggregated<bigram<float>, mean_tokens>>);
  STATIC_REQUIRE_FALSE(SamplingPolicy<aggregated<tabular<float>, mean_tokens>>);
  STATIC_REQUIRE(check::sampling_policy<without<lacks::nothing>>());
}

TEST_CASE("token_sampler: tokens come as often as their probabilities say", "[policy][sampling]") {
  check_frequencies(frequencies(scores, {}), {1 / 16.0, 4 / 16.0, 4 / 16.0, 6 / 16.0, 1 / 16.0});
}

TEST_CASE("token_sampler: a temperature of 1/2 squares probabilities", "[policy][sampling]") {
  // 1 + 16 + 16 + 36 + 1 = 70
  check_frequencies(frequencies(scores, {.temperature = 0.5}),
                    {1 / 70.0, 16 / 70.0, 16 / 70.0, 36 / 70.0, 1 / 70.0});
}

TEST_CASE("token_sampler: top_k keeps the most likely tokens, the lower one of equals",
          "[policy][sampling]") {
  check_frequencies(frequencies(scores, {.top_k = 2}), {0, 4 / 10.0, 0, 6 / 10.0, 0});
  check_frequencies(frequencies(scores, {.top_k = 4}), {1 / 15.0, 4 / 15.0, 4 / 15.0, 6 / 15.0, 0});
  CHECK(frequencies(scores, {.top_k = 1})[3] == draws);
  CHECK(frequencies(scores, {.top_k = 9}) == frequencies(scores, {}));
}

TEST_CASE("token_sampler: top_p keeps the fewest tokens that have the share together",
          "[policy][sampling]") {
  check_frequencies(frequencies(scores, {.top_p = 0.6}), {0, 4 / 10.0, 0, 6 / 10.0, 0});
  check_frequencies(frequencies(scores, {.top_p = 0.7}), {0, 4 / 14.0, 4 / 14.0, 6 / 14.0, 0});
  CHECK(frequencies(scores, {.top_p = 0.01})[3] == draws);
  // Of the 14 / 16 that top_k = 3 leaves, 10 are more than 0.7.
  check_frequencies(frequencies(scores, {.top_k = 3, .top_p = 0.7}), {0, 4 / 10.0, 0, 6 / 10.0, 0});
  // The temperature comes first: squared, the most likely token has 36 / 70 by itself.
  CHECK(frequencies(scores, {.temperature = 0.5, .top_p = 0.5})[3] == draws);
}

TEST_CASE("token_sampler: what has probability 0 is never drawn", "[policy][sampling]") {
  double const never = -std::numeric_limits<double>::infinity();
  std::vector<double> const half = {never, 0, never, 0, never};
  for (sampling_options const& how :
       {sampling_options{}, {.temperature = 3.0}, {.top_k = 4}, {.top_p = 0.99}}) {
    check_frequencies(frequencies(half, how), {0, 0.5, 0, 0.5, 0});
  }
}

TEST_CASE("token_sampler: of many tokens it draws those of the definition", "[policy][sampling]") {
  constexpr std::size_t vocabulary = 1000;  // several blocks of tokens, the last one shorter
  std::vector<float> log_prob(vocabulary);
  fill_normal(std::span<float>(log_prob), {.seed = 2}, 0.0, 2.0);
  log_prob[17] = -std::numeric_limits<float>::infinity();
  // The share that a number in [0, 1) points to, among the most likely tokens laid end to end in their order.
  auto const by_definition = [&](sampling_options const& how, double at) {
    std::vector<std::size_t> order(vocabulary);
    for (std::size_t v = 0; v != vocabulary; ++v) order[v] = v;
    std::sort(order.begin(), order.end(),
              [&](auto a, auto b) { return log_prob[a] > log_prob[b]; });
    auto const weight = [&](std::size_t v) {
      return std::exp(static_cast<double>(log_prob[v]) / how.temperature);
    };
    auto const total = [&] {
      double sum = 0;
      for (std::size_t const v : order) sum += weight(v);
      return sum;
    };
    if (how.top_k != 0) order.resize(how.top_k);
    double const share = how.top_p * total();
    std::size_t kept = 0;
    for (double sum = 0; kept != order.size() && (kept == 0 || sum < share); ++kept)
      sum += weight(order[kept]);
    order.resize(kept);
    std::sort(order.begin(), order.end());
    double left = at * total();
    std::size_t k = 0;
    while (k + 1 != kept && !((left -= weight(order[k])) < 0)) ++k;
    return order[k];
  };
  std::size_t wrong = 0;
  for (sampling_options const& how : {sampling_options{},
                                      {.temperature = 0.7},
                                      {.top_k = 1},
                                      {.top_k = 120},
                                      {.top_p = 0.3},
                                      {.top_p = 0.98},
                                      {.temperature = 1.5, .top_k = 300, .top_p = 0.9}}) {
    token_sampler draw(how);
    for (std::uint64_t i = 0; i != 40; ++i) {
      random_stream numbers(at(i));
      random_stream same(at(i));
      wrong +=
          draw(std::span<float const>(log_prob), numbers) != by_definition(how, uniform01(same));
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("token_sampler: a temperature or a share out of range is refused by name",
          "[policy][sampling]") {
  CHECK_THROWS_WITH(token_sampler({.temperature = 0.0}),
                    "token_sampler: temperature is 0, expected a finite number greater than zero");
  CHECK_THROWS_WITH(token_sampler({.top_p = 0.0}), Catch::Contains("top_p is 0, expected"));
  CHECK_THROWS_WITH(token_sampler({.top_p = 1.5}), Catch::Contains("top_p is 1.5, expected"));
  std::vector<double> const nothing_to_say;
  random_stream numbers(at(0));
  token_sampler draw({});
  CHECK_THROWS_WITH(draw(std::span<double const>(nothing_to_say), numbers),
                    Catch::Contains("the vocabulary is empty"));
}
