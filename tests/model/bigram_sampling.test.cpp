// SPDX-License-Identifier: MIT
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <span>
#include <vector>

#include <catch2/catch.hpp>

#include <prefer/model/bigram.hpp>

#include "token_sequences.hpp"

using namespace prefer;

namespace {

constexpr std::uint64_t draws = 20000;
using tokens = std::vector<std::uint32_t>;

random_address at(std::uint64_t step, std::uint64_t index) {
  return {.seed = 5, .purpose = random_purpose::completion, .step = step, .index = index};
}

/// One completion for each prompt.
template <class T>
std::vector<tokens> write(bigram<T> const& policy, tokens const& prompts,
                          sampling_options const& how, random_address const& from) {
  token_table table;
  tokens ids(prompts.size());
  policy.sample(prompts, how, from, table, ids);
  std::vector<tokens> out;
  for (std::uint32_t const id : ids) {
    auto const written = table.tokens(id);
    out.emplace_back(written.begin(), written.end());
  }
  return out;
}

/// exp of the log-probability of a completion.
double probability(bigram<double>& policy, std::uint32_t prompt, tokens const& completion) {
  std::vector<double> row(policy.vocabulary());
  double log_prob = 0;
  for (std::uint32_t const token : completion) {
    policy.token_log_probs(prompt, row);
    log_prob += row[token];
    prompt = token;
  }
  return std::exp(log_prob);
}

}  // namespace

TEST_CASE("bigram: completions have the frequencies of their exact probabilities",
          "[model][bigram][sampling]") {
  token_table const table;
  auto policy = test::filled_bigram<double>(3, table);
  std::uint32_t const stop = 2;
  for (bool const stops : {false, true}) {
    sampling_options how{.max_tokens = 3};
    if (stops) how.stop_token = stop;
    std::map<tokens, double> count;
    for (tokens const& y : write(policy, tokens(draws, 1), how, at(0, 0))) count[y] += 1;
    double total = 0;
    double statistic = 0;
    for (auto const& [y, times] : count) {
      CAPTURE(y);
      // The stop token ends a completion and stands nowhere else.
      for (std::size_t t = 0; stops && t + 1 < y.size(); ++t) CHECK(y[t] != stop);
      CHECK((y.size() == 3 || (stops && y.back() == stop)));
      double const expected = static_cast<double>(draws) * probability(policy, 1, y);
      statistic += (times - expected) * (times - expected) / expected;
      total += expected;
    }
    // Every completion was written, so that probabilities add up to 1: 27, or 1 + 2 + 4 + 8 with a stop token.
    CHECK(count.size() == (stops ? 15 : 27));
    CHECK(total == Approx(static_cast<double>(draws)).epsilon(1e-12));
    // Five standard deviations above the mean of its distribution, chi-squared with one degree less than completions.
    double const degrees = static_cast<double>(count.size() - 1);
    CHECK(statistic <= degrees + 5 * std::sqrt(2 * degrees));
  }
}

TEMPLATE_TEST_CASE("bigram: a completion is what its address says, in any batch",
                   "[model][bigram][sampling]", float, double) {
  token_table const table;
  auto const policy = test::filled_bigram<TestType>(4, table);
  tokens const prompts = {3, 0, 1, 1, 2, 3, 0};
  for (sampling_options const& how :
       {sampling_options{.max_tokens = 20}, {.max_tokens = 20, .stop_token = 1, .top_p = 0.8}}) {
    auto const whole = write(policy, prompts, how, at(3, 100));
    for (std::size_t i = 0; i != prompts.size(); ++i) {
      CHECK(write(policy, {prompts[i]}, how, at(3, 100 + i)) == std::vector<tokens>{whole[i]});
    }
    CHECK(write(policy, prompts, how, at(3, 100)) == whole);
    CHECK(write(policy, prompts, how, at(4, 100)) != whole);
  }
}

TEST_CASE("bigram: completions can be added to the policy's own table, and scored",
          "[model][bigram][sampling]") {
  token_table table;
  bigram<double> policy(3, table);
  tokens const prompts = {0, 1};
  tokens ids(2);
  policy.sample(prompts, {.max_tokens = 4}, at(0, 0), table, ids);
  CHECK(ids == tokens{0, 1});
  choice_data data;
  data.add_pair(0, ids[0], ids[1]);
  std::vector<double> log_prob(2);
  policy.log_prob(data.batch(), log_prob);
  CHECK(log_prob[0] == Approx(-4 * std::log(3.0)).epsilon(1e-14));  // uniform, four tokens of three
}

TEST_CASE("bigram: what has probability 0 is never written", "[model][bigram][sampling]") {
  token_table const table;
  double const never = -std::numeric_limits<double>::infinity();
  bigram<double> policy(3, table, {0, never, 0, 0, 0, 0, 0, 0, never});
  for (tokens const& y : write(policy, tokens(20, 0), {.max_tokens = 40}, at(0, 0))) {
    std::uint32_t before = 0;
    for (std::uint32_t const token : y) {
      CHECK(std::isfinite(policy.parameters()[0].value[before * 3 + token]));
      before = token;
    }
  }
}

TEST_CASE("bigram: sampling refuses what does not fit", "[model][bigram][sampling]") {
  token_table const table;
  bigram<double> const policy(3, table);
  token_table into;
  tokens ids(1);
  CHECK_THROWS_WITH(policy.sample(tokens{0, 1}, {}, at(0, 0), into, ids),
                    Catch::Contains("bigram::sample: ids has 1 elements, expected 2"));
  CHECK_THROWS_WITH(policy.sample(tokens{0}, {.max_tokens = 0}, at(0, 0), into, ids),
                    Catch::Contains("max_tokens must be at least 1"));
  CHECK_THROWS_WITH(policy.sample(tokens{3}, {}, at(0, 0), into, ids),
                    Catch::Contains("is 3, expected less than 3"));
}
