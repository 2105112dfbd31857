// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>
#include <prefer/model/bigram.hpp>
#include <prefer/prefer.hpp>
#include <span>
#include <vector>

namespace token_level {

// [own_aggregation]
/// The first token counts half as much as the others.
struct soft_start {
  void weights(prefer::choice_batch const& batch, std::span<std::size_t const> token_offset,
               std::span<double> out) const {
    for (double& each : out) each = 1.0;
    for (std::size_t i = 0; i < batch.completions(); ++i) out[token_offset[i]] = 0.5;
  }
};

static_assert(prefer::Aggregation<soft_start, prefer::choice_batch>);
// [/own_aggregation]

}  // namespace token_level

TEST_CASE("docs: token level, completions by number", "[docs]") {
  // [table]
  prefer::token_table table;  // outlives the policies that read it
  std::uint32_t const polite = table.add(std::vector<std::uint32_t>{3, 1, 2});
  std::uint32_t const long_winded = table.add(std::vector<std::uint32_t>{3, 3, 1, 3, 2});

  prefer::choice_data data;
  data.add_pair(0, polite, long_winded);  // for bigram, the prompt is the token before the first
  data.length = table.lengths(data.completion);

  prefer::bigram<double> policy(4, table);  // a vocabulary of 4 tokens
  std::vector<double> log_prob(2);
  policy.log_prob(data.batch(), log_prob);  // uniform: -3 ln 4 and -5 ln 4
  // [/table]
  CHECK(data.length == std::vector<float>{3, 5});
  CHECK(log_prob[0] == Approx(-3 * std::log(4.0)));
  CHECK(log_prob[1] == Approx(-5 * std::log(4.0)));

  // [tokens]
  std::vector<std::size_t> offset;
  policy.token_offsets(data.batch(), offset);  // 0, 3, 8
  std::vector<double> token_log_prob(offset.back());
  policy.token_log_prob(data.batch(), token_log_prob);
  // [/tokens]
  CHECK(offset == std::vector<std::size_t>{0, 3, 8});
  CHECK(token_log_prob[7] == Approx(-std::log(4.0)));
}

TEST_CASE("docs: token level, aggregations", "[docs]") {
  prefer::token_table table;
  table.add(std::vector<std::uint32_t>{3, 1, 2});
  table.add(std::vector<std::uint32_t>{3, 3, 1, 3, 2});
  prefer::choice_data data;
  data.add_pair(0, 0, 1);
  // [train]
  prefer::aggregated policy(prefer::bigram<double>(4, table), prefer::ld_dpo_weights{.alpha = 0.5});
  prefer::frozen reference(policy);  // with the same aggregation
  prefer::trainer training(policy, prefer::dpo{.beta = 0.1}, reference, data, {.steps = 100});
  training.run();
  // [/train]
  std::vector<double> now(2);
  std::vector<double> before(2);
  policy.log_prob(data.batch(), now);
  reference.log_prob(data.batch(), before);
  CHECK(now[0] - before[0] > now[1] - before[1]);

  // [length]
  data.length.resize(data.completion.size());
  policy.length(data.batch(), data.length);  // 3 and 4: two of five tokens count half
  // [/length]
  CHECK(data.length == std::vector<float>{3, 4});

  std::vector<float> own(2);
  prefer::aggregated(prefer::bigram<double>(4, table), token_level::soft_start{})
      .length(data.batch(), own);
  CHECK(own == std::vector<float>{2.5f, 4.5f});
}

TEST_CASE("docs: token level, steps", "[docs]") {
  std::vector<std::uint32_t> const question = {0};
  std::vector<std::uint32_t> const so_far = {1, 2};
  std::vector<std::uint32_t> const better = {3, 1};
  std::vector<std::uint32_t> const worse = {0};
  // [steps]
  prefer::step_pairs steps(prefer::step_context::in_completion);
  steps.add({.prompt = question, .correct = so_far, .preferred = better, .wrong = worse});
  steps.prompt_is_last_token();  // for bigram
  prefer::aggregated policy(prefer::bigram<double>(4, steps.completions()),
                            prefer::step_mask(steps.counted()));
  // [/steps]
  std::vector<double> log_prob(2);
  policy.log_prob(steps.data().batch(), log_prob);
  CHECK(log_prob[0] == Approx(-2 * std::log(4.0)));
  CHECK(log_prob[1] == Approx(-std::log(4.0)));
}
