// SPDX-License-Identifier: MIT
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <prefer/aggregation/ld_dpo_weights.hpp>
#include <prefer/aggregation/mean_tokens.hpp>
#include <prefer/aggregation/sampled_tokens.hpp>
#include <prefer/aggregation/step_mask.hpp>
#include <prefer/aggregation/sum_tokens.hpp>
#include <prefer/model/bigram.hpp>
#include <prefer/policy/aggregated.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/reference/none.hpp>
#include <span>
#include <type_traits>
#include <vector>

#include "aggregated_subjects.hpp"

using namespace aggregated_subjects;

TEST_CASE("aggregated: a sum over tokens is the policy itself, to the bit",
          "[policy][aggregated]") {
  auto const table = test::table_of(40, 30);
  auto const policy = test::filled_bigram<float>(40, table);
  auto const data = test::lists(20, 40, 30);
  auto const coefficient = test::numbers<float>(data.completion.size(), 5);
  using summed = aggregated<bigram<float>, sum_tokens>;
  test::outcome<bigram<float>> const plain(policy, data, coefficient);
  test::outcome<summed> const through(summed(policy, {}), data, coefficient);
  CHECK(test::same_bytes(plain.log_prob, through.log_prob));
  CHECK(test::same_bytes(plain.gradient, through.gradient));
}

TEST_CASE("aggregated: the mean is log_prob per token", "[policy][aggregated]") {
  auto const table = test::table_of(5, 20);
  auto policy = test::filled_bigram<double>(5, table);
  aggregated mean(policy, mean_tokens{});
  auto const data = test::lists(12, 5, 20);
  auto const whole = log_probs(policy, data.batch());
  auto const out = log_probs(mean, data.batch());
  for (std::size_t i = 0; i != out.size(); ++i) {
    CHECK(out[i] == Approx(whole[i] / static_cast<double>(table.length(data.completion[i]))));
  }
}

TEST_CASE("aggregated: LD-DPO with alpha 1 is the sum, with 0 cuts both to one length",
          "[policy][aggregated]") {
  auto const table = test::table_of(5, 20);
  auto policy = test::filled_bigram<double>(5, table);
  auto const data = test::token_pairs(30, 5, 20);
  auto const batch = data.batch();
  aggregated whole(policy, ld_dpo_weights{.alpha = 1.0});
  aggregated cut(policy, ld_dpo_weights{.alpha = 0.0});
  aggregated half(policy, ld_dpo_weights{.alpha = 0.5});
  CHECK(test::same_bytes(log_probs(whole, batch), log_probs(policy, batch)));
  auto const token = by_token(policy, batch);
  auto const at_0 = log_probs(cut, batch);
  auto const at_half = log_probs(half, batch);
  bool differs = false;
  for (std::size_t i = 0; i != token.size(); ++i) {
    auto const shared = std::min(token[i].size(), token[i ^ 1].size());
    double const first = sum_of(token[i], shared);
    double const rest = sum_of(token[i], token[i].size()) - first;
    CHECK(at_0[i] == first);
    CHECK(at_half[i] == Approx(first + 0.5 * rest));
    differs = differs || rest != 0;
  }
  CHECK(differs);
}

TEST_CASE("aggregated: gradients agree with differences", "[policy][aggregated]") {
  auto const table = test::table_of(5, 20);
  drawn_batch const pairs(test::token_pairs(12, 5, 20));
  check_gradient(sum_tokens{}, pairs.at(3), table);
  check_gradient(mean_tokens{}, pairs.at(3), table);
  check_gradient(ld_dpo_weights{.alpha = 0.3}, pairs.at(3), table);
  check_gradient(sampled_tokens{.seed = 8}, pairs.at(3), table);
  std::vector<token_range> last;
  for (std::uint32_t id = 0; id != 20; ++id) {
    last.push_back({table.length(id) / 2, table.length(id)});
  }
  check_gradient(step_mask(last), pairs.at(3), table);
}

TEST_CASE("aggregated: bits do not depend on cuts and threads", "[policy][aggregated]") {
  auto const table = test::table_of(150, 40);
  aggregated const weighted(test::filled_bigram<float>(150, table), ld_dpo_weights{.alpha = 0.3});
  test::check_bits(weighted, test::token_pairs(40, 150, 40));
  aggregated const mean(test::filled_bigram<float>(150, table), mean_tokens{});
  test::check_bits(mean, test::lists(40, 150, 40));
}

TEST_CASE("aggregated: a draw does not depend on how the batch is cut", "[policy][aggregated]") {
  auto const table = test::table_of(5, 20);
  drawn_batch const pairs(test::token_pairs(12, 5, 20));
  aggregated policy(test::filled_bigram<double>(5, table), sampled_tokens{.seed = 8});
  auto const whole = log_probs(policy, pairs.at(3));
  for (std::size_t g = 0; g != 12; ++g) {
    test::part_of_batch part(pairs.data, g, g + 1);
    part.batch.row = std::span(pairs.row).subspan(g, 1);
    part.batch.draw = 3;
    auto const out = log_probs(policy, part.batch);
    CHECK(out == std::vector<double>{whole[2 * g], whole[2 * g + 1]});
  }
}

TEST_CASE("aggregated: SamPO draws the same for policy and reference, and anew in each step",
          "[policy][aggregated]") {
  auto const table = test::table_of(5, 20);
  auto policy = test::filled_bigram<double>(5, table);
  drawn_batch const pairs(test::token_pairs(30, 5, 20));
  aggregated drawn(policy, sampled_tokens{.seed = 8});
  frozen reference(drawn);
  CHECK(log_probs(drawn, pairs.at(3)) == log_probs(reference, pairs.at(3)));
  CHECK(log_probs(drawn, pairs.at(3)) != log_probs(drawn, pairs.at(4)));
}

TEST_CASE("aggregated: SamPO is on average the length-scaled sum", "[policy][aggregated]") {
  // Completions of 2 and 5 tokens. A sum of k = 2 of n = 5 numbers drawn without replacement has the mean
  // k/n * sum and the variance k (n - k) / (n - 1) * (mean of squares - square of mean).
  token_table table;
  table.add(std::vector<std::uint32_t>{1, 2});
  table.add(std::vector<std::uint32_t>{0, 3, 4, 1, 1});
  auto policy = test::filled_bigram<double>(5, table);
  choice_data data;
  data.add_pair(2, 0, 1);
  drawn_batch const pair(data);
  auto const token = by_token(policy, pair.at(0));
  aggregated drawn(policy, sampled_tokens{.seed = 8});
  constexpr std::uint64_t draws = 20000;
  double total = 0;
  for (std::uint64_t draw = 0; draw != draws; ++draw) {
    auto const out = log_probs(drawn, pair.at(draw));
    CHECK(out[0] == sum_of(token[0], 2));
    total += out[1];
  }
  double const mean = sum_of(token[1], 5) / 5;
  double squares = 0;
  for (double const each : token[1]) squares += each * each;
  double const variance = 2 * 3 / 4.0 * (squares / 5 - mean * mean);
  REQUIRE(variance > 0);
  // Within five standard deviations of the mean over the draws.
  CHECK(std::abs(total / draws - 2 * mean) <= 5 * std::sqrt(variance / draws));
}

TEST_CASE("aggregated: its length is the sum of the weights", "[policy][aggregated]") {
  token_table table;
  table.add(std::vector<std::uint32_t>{1, 2});
  table.add(std::vector<std::uint32_t>{0, 1, 2, 1, 1, 2});
  choice_data data;
  data.add_pair(2, 0, 1);
  drawn_batch const pair(data);
  auto const lengths = [&](auto const& aggregation) {
    aggregated policy(model(3, table), aggregation);
    std::vector<float> out(2);
    policy.length(pair.at(0), out);
    return out;
  };
  CHECK(lengths(sum_tokens{}) == std::vector<float>{2, 6});
  CHECK(lengths(mean_tokens{}) == std::vector<float>{1, 1});
  CHECK(lengths(ld_dpo_weights{.alpha = 0.25}) == std::vector<float>{2, 3});
  CHECK(lengths(sampled_tokens{}) == std::vector<float>{2, 2});
  CHECK(lengths(step_mask({{1, 2}, {2, 5}})) == std::vector<float>{1, 3});
}

TEST_CASE("aggregated: a token of weight 0 does not count even if it is impossible",
          "[policy][aggregated]") {
  double const infinity = std::numeric_limits<double>::infinity();
  token_table table;
  table.add(std::vector<std::uint32_t>{0, 1});
  choice_data data;
  data.add_list(0, std::vector<std::uint32_t>{0});
  model const never_1(2, table, {0, -infinity, 0, 0});
  aggregated first(never_1, step_mask({{0, 1}}));
  aggregated second(never_1, step_mask({{1, 2}}));
  CHECK(log_probs(first, data.batch())[0] == 0);
  CHECK(log_probs(second, data.batch())[0] == -infinity);
}

TEST_CASE("aggregated: perturbed log-probabilities have the same weights", "[policy][aggregated]") {
  auto const table = test::table_of(5, 20);
  auto policy = test::filled_bigram<double>(5, table);
  auto const other = test::filled_bigram<double>(5, table, 31);
  auto const data = test::token_pairs(12, 5, 20);
  aggregated weighted(policy, ld_dpo_weights{.alpha = 0.3});
  aggregated reference(other, ld_dpo_weights{.alpha = 0.3});
  std::vector<double> out(24);
  weighted.evaluate(data.batch(), {.perturbed_away = out, .perturbation = 0}, frozen(reference));
  CHECK(test::same_bytes(out, log_probs(weighted, data.batch())));
  weighted.evaluate(data.batch(), {.perturbed_away = out, .perturbation = -1}, frozen(reference));
  auto const expected = log_probs(reference, data.batch());
  for (std::size_t i = 0; i != 24; ++i) CHECK(out[i] == Approx(expected[i]).margin(1e-13));
}

TEST_CASE("aggregated: a pass by name has the bits of the short contract", "[policy][aggregated]") {
  auto const table = test::table_of(5, 20);
  auto const data = test::token_pairs(12, 5, 20);
  auto const coefficient = test::numbers<double>(24, 3);
  aggregated by_name(test::filled_bigram<double>(5, table), ld_dpo_weights{.alpha = 0.3});
  aggregated in_short = by_name;
  std::vector<double> out(24);
  by_name.evaluate(data.batch(), {.log_prob = out});
  CHECK(test::same_bytes(out, log_probs(in_short, data.batch())));
  by_name.backward(data.batch(), {.log_prob = coefficient});
  in_short.backward(data.batch(), coefficient);
  by_name.finish_backward();
  in_short.finish_backward();
  CHECK(test::same_bytes(test::gradient_of(by_name), test::gradient_of(in_short)));
}

TEST_CASE("aggregated: the rest of the policy is forwarded", "[policy][aggregated]") {
  auto const table = test::table_of(5, 20);
  auto policy = test::filled_bigram<double>(5, table);
  frozen reference(test::filled_bigram<double>(5, table, 31));
  auto const data = test::token_pairs(12, 5, 20);
  auto const batch = data.batch();
  aggregated half(policy, ld_dpo_weights{});
  std::vector<double> ours(24);
  std::vector<double> theirs(24);
  auto const same = [&](auto const& of) {
    of(half, ours);
    of(policy, theirs);
    CHECK(ours == theirs);
    CHECK(ours != std::vector<double>(24));
  };
  same([&](auto& p, auto& out) { p.evaluate(batch, {.alignment = out}); });
  same([&](auto& p, auto& out) { p.evaluate(batch, {.divergence = out}, reference); });
  same([&](auto& p, auto& out) { p.evaluate(batch, {.entropy = out}); });
  same([&](auto& p, auto& out) { p.evaluate(batch, {.mean_logit = out}); });
  same([&](auto& p, auto& out) { p.evaluate(batch, {.token_accuracy = out}); });
  auto const coefficient = test::numbers<double>(24, 3);
  half.backward(batch, {.divergence = coefficient}, reference);
  half.finish_backward();
  policy.backward(batch, {.divergence = coefficient}, reference);
  policy.finish_backward();
  CHECK(test::same_bytes(test::gradient_of(half), test::gradient_of(policy)));

  STATIC_REQUIRE(TokenPolicy<decltype(half), choice_batch>);
  STATIC_REQUIRE(AlignmentPolicy<decltype(half), choice_batch>);
  STATIC_REQUIRE(DivergencePolicy<decltype(half), decltype(reference), choice_batch>);
  STATIC_REQUIRE(PerturbablePolicy<decltype(half), decltype(reference), choice_batch>);
  STATIC_REQUIRE(DivergencePolicy<model, frozen<decltype(half)>, choice_batch>);
  STATIC_REQUIRE_FALSE(DivergencePolicy<decltype(half), no_reference<double>, choice_batch>);
  STATIC_REQUIRE_FALSE(PerturbablePolicy<decltype(half), no_reference<double>, choice_batch>);
}

TEST_CASE("aggregated: refers to a policy if asked to, and is then no snapshot",
          "[policy][aggregated]") {
  auto const table = test::table_of(5, 20);
  auto policy = test::filled_bigram<double>(5, table);
  auto const data = test::token_pairs(12, 5, 20);
  aggregated<model&, mean_tokens> view(policy, {});
  aggregated<model, mean_tokens> copy(policy, {});
  CHECK(log_probs(view, data.batch()) == log_probs(copy, data.batch()));
  test::fill_parameters(policy, 77);
  CHECK(log_probs(view, data.batch()) != log_probs(copy, data.batch()));
  aggregated<model, mean_tokens> moved(policy, {});
  CHECK(log_probs(view, data.batch()) == log_probs(moved, data.batch()));
  STATIC_REQUIRE(std::is_copy_constructible_v<decltype(copy)>);
  STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<decltype(view)>);
  STATIC_REQUIRE_FALSE(std::is_move_constructible_v<decltype(view)>);
}

TEST_CASE("aggregated: columns of another size are refused", "[policy][aggregated]") {
  auto const table = test::table_of(5, 20);
  aggregated policy(test::filled_bigram<double>(5, table), sum_tokens{});
  auto const data = test::token_pairs(2, 5, 20);
  std::vector<double> three(3);
  std::vector<float> lengths(3);
  frozen const reference(policy);
  CHECK_THROWS_WITH(
      policy.log_prob(data.batch(), three),
      Contains("aggregated::log_prob: the column of values has 3 elements, expected 4"));
  CHECK_THROWS_WITH(policy.backward(data.batch(), three),
                    Contains("aggregated::backward: the column"));
  CHECK_THROWS_WITH(policy.length(data.batch(), lengths),
                    Contains("aggregated::length: the column"));
  CHECK_THROWS_WITH(policy.evaluate(data.batch(), {.perturbed_away = three}, reference),
                    Contains("perturbed_away has 3 elements, expected 4"));
}
