// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>
#include <limits>
#include <numbers>
#include <string>
#include <type_traits>
#include <vector>

#include <prefer/aggregation/ld_dpo_weights.hpp>
#include <prefer/aggregation/mean_tokens.hpp>
#include <prefer/aggregation/sampled_tokens.hpp>
#include <prefer/aggregation/step_mask.hpp>
#include <prefer/aggregation/sum_tokens.hpp>
#include <prefer/batch/step_pairs.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/simpo.hpp>
#include <prefer/model/bigram.hpp>
#include <prefer/policy/aggregated.hpp>
#include <prefer/reference/cached.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/reference/none.hpp>
#include <prefer/train/trainer.hpp>

#include "model/token_sequences.hpp"

using namespace prefer;
using Catch::Matchers::Contains;

namespace {

using model = bigram<double>;

/// Pairs as a batch with row numbers and a draw.
struct drawn_batch {
  choice_data data;
  std::vector<std::size_t> row;

  explicit drawn_batch(choice_data pairs) : data(std::move(pairs)) {
    for (std::size_t g = 0; g != data.size(); ++g) row.push_back(100 + g);
  }
  [[nodiscard]] choice_batch at(std::uint64_t draw) const {
    auto out = data.batch();
    out.row = row;
    out.draw = draw;
    return out;
  }
};

template <class P>
std::vector<double> log_probs(P& policy, choice_batch const& batch) {
  std::vector<double> out(batch.completions());
  policy.log_prob(batch, out);
  return out;
}

/// Token log-probabilities of each completion.
std::vector<std::vector<double>> by_token(model& policy, choice_batch const& batch) {
  std::vector<std::size_t> offset;
  policy.token_offsets(batch, offset);
  std::vector<double> token(offset.back());
  policy.token_log_prob(batch, token);
  std::vector<std::vector<double>> out;
  for (std::size_t i = 0; i != batch.completions(); ++i) {
    out.emplace_back(token.begin() + static_cast<std::ptrdiff_t>(offset[i]),
                     token.begin() + static_cast<std::ptrdiff_t>(offset[i + 1]));
  }
  return out;
}

double sum_of(std::vector<double> const& values, std::size_t count) {
  double sum = 0;
  for (std::size_t t = 0; t != count; ++t) sum += values[t];
  return sum;
}

template <class A>
void check_gradient(A const& aggregation, choice_batch const& batch, token_table const& table) {
  aggregated policy(test::filled_markov<double>(5, table), aggregation);
  auto const coefficient = test::numbers<double>(batch.completions(), 12);
  policy.backward(batch, coefficient);
  policy.finish_backward();
  test::check_derivatives(policy, test::gradient_of(policy), [&] {
    auto const out = log_probs(policy, batch);
    return test::weighted_sum(coefficient, out);
  });
}

}  // namespace

TEST_CASE("aggregated: a sum over tokens is the policy itself, to the bit",
          "[policy][aggregated]") {
  auto const table = test::table_of(40, 30);
  auto const policy = test::filled_markov<float>(40, table);
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
  auto policy = test::filled_markov<double>(5, table);
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
  auto policy = test::filled_markov<double>(5, table);
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
  aggregated const weighted(test::filled_markov<float>(150, table), ld_dpo_weights{.alpha = 0.3});
  test::check_bits(weighted, test::token_pairs(40, 150, 40));
  aggregated const mean(test::filled_markov<float>(150, table), mean_tokens{});
  test::check_bits(mean, test::lists(40, 150, 40));
}

TEST_CASE("aggregated: a draw does not depend on how the batch is cut", "[policy][aggregated]") {
  auto const table = test::table_of(5, 20);
  drawn_batch const pairs(test::token_pairs(12, 5, 20));
  aggregated policy(test::filled_markov<double>(5, table), sampled_tokens{.seed = 8});
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
  auto policy = test::filled_markov<double>(5, table);
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
  auto policy = test::filled_markov<double>(5, table);
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
  auto policy = test::filled_markov<double>(5, table);
  auto const other = test::filled_markov<double>(5, table, 31);
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
  aggregated by_name(test::filled_markov<double>(5, table), ld_dpo_weights{.alpha = 0.3});
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
  auto policy = test::filled_markov<double>(5, table);
  frozen reference(test::filled_markov<double>(5, table, 31));
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
  auto policy = test::filled_markov<double>(5, table);
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
  aggregated policy(test::filled_markov<double>(5, table), sum_tokens{});
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

TEST_CASE("aggregated: DPO on one step is the same with a mask as with a longer prompt",
          "[policy][aggregated][step]") {
  // x := prompt + correct steps, y := the next step. For a model with a memory of one token the two forms give
  // the same numbers in the same order: equal to the bit, before and after training.
  step_pairs masked(step_context::in_completion);
  step_pairs prompted(step_context::in_prompt);
  test::spread from(21);
  auto const tokens = [&](std::size_t count) {
    std::vector<std::uint32_t> out(count);
    for (auto& each : out) each = static_cast<std::uint32_t>(from.below(6));
    return out;
  };
  for (int i = 0; i != 20; ++i) {
    auto const prompt = tokens(1 + from.below(3));
    auto const correct = tokens(from.below(4));
    auto preferred = tokens(1 + from.below(3));
    auto const wrong = tokens(1 + from.below(3));
    if (preferred == wrong) preferred[0] = (preferred[0] + 1) % 6;
    step_preference const step{prompt, correct, preferred, wrong};
    masked.add(step);
    prompted.add(step);
  }
  masked.prompt_is_last_token();
  prompted.prompt_is_last_token();
  auto const start = test::filled_markov<double>(6, masked.completions());
  aggregated by_mask(start, step_mask(masked.counted()));
  auto by_prompt = test::filled_markov<double>(6, prompted.completions());
  frozen mask_reference(by_mask);
  frozen prompt_reference(by_prompt);
  CHECK(log_probs(by_mask, masked.data().batch()) == log_probs(by_prompt, prompted.data().batch()));
  CHECK(masked.data().length == prompted.data().length);

  train_options const options{.batch_size = 7, .epochs = 3, .rate = 0.05};
  auto const& masked_data = masked.data();
  auto const& prompted_data = prompted.data();
  trainer(by_mask, dpo{}, mask_reference, masked_data, options).run();
  trainer(by_prompt, dpo{}, prompt_reference, prompted_data, options).run();
  auto const values = by_mask.parameters()[0].value;
  auto const same = by_prompt.parameters()[0].value;
  CHECK(std::equal(values.begin(), values.end(), same.begin(), same.end()));
  CHECK(log_probs(by_mask, masked_data.batch()) != log_probs(mask_reference, masked_data.batch()));
}

namespace {

/// Of a prompt 0: 1 2 3 is preferred to 1 2 2 3 3 and to others of several lengths.
struct problem {
  token_table table;
  choice_data data;

  problem() {
    std::vector<std::vector<std::uint32_t>> const sequences = {
        {1, 2, 3}, {1, 2, 2, 3, 3}, {3}, {2, 1, 3, 1}, {1, 3, 2}};
    for (auto const& each : sequences) table.add(each);
    for (int repeat = 0; repeat != 4; ++repeat) {
      for (std::uint32_t rejected = 1; rejected != 5; ++rejected) data.add_pair(0, 0, rejected);
    }
    data.length = table.lengths(data.completion);
  }
};

using weighted_model = aggregated<bigram<float>, ld_dpo_weights>;

std::vector<float> trained(problem const& task, train_options const& options,
                           std::string const& interrupt_at = "") {
  weighted_model policy(bigram<float>(4, task.table), {.alpha = 0.5});
  frozen reference(policy);
  trainer run(policy, dpo{.beta = 0.5}, reference, task.data, options);
  if (!interrupt_at.empty()) {
    run.run([](step_report const& report) { return report.step != 5; });
    run.save(interrupt_at);
    weighted_model again(bigram<float>(4, task.table), {.alpha = 0.5});
    trainer rest(again, dpo{.beta = 0.5}, reference, task.data, options);
    rest.resume(interrupt_at);
    rest.run();
    return {again.parameters()[0].value.begin(), again.parameters()[0].value.end()};
  }
  run.run();
  return {policy.parameters()[0].value.begin(), policy.parameters()[0].value.end()};
}

}  // namespace

TEST_CASE("aggregated: LD-DPO trains a sequence policy towards what is preferred",
          "[policy][aggregated]") {
  problem const task;
  weighted_model policy(bigram<float>(4, task.table), {.alpha = 0.5});
  frozen reference(policy);
  trainer run(policy, dpo{.beta = 0.5}, reference, task.data,
              {.batch_size = 8, .steps = 200, .rate = 0.05, .reference_is_start = true});
  // At the start every log-ratio is 0.
  CHECK(run.step().loss == Approx(std::numbers::ln2));
  run.run();
  // Among all 64 sequences of its length the preferred one is the most likely.
  auto const all = token_table::all_of_length(4, 3);
  std::vector<float> const logits(policy.parameters()[0].value.begin(),
                                  policy.parameters()[0].value.end());
  bigram<float> learnt(4, all, logits);
  choice_data data;
  std::vector<std::uint32_t> ids;
  for (std::uint32_t i = 0; i != all.size(); ++i) ids.push_back(i);
  data.add_list(0, ids);
  std::vector<float> out(ids.size());
  learnt.log_prob(data.batch(), out);
  constexpr std::size_t preferred = (1 * 4 + 2) * 4 + 3;
  for (std::size_t i = 0; i != out.size(); ++i) {
    if (i != preferred) CHECK(out[i] < out[preferred]);
  }
}

TEST_CASE("aggregated: training has the same bits for any micro-batch and after a resume",
          "[policy][aggregated]") {
  problem const task;
  train_options const whole{.batch_size = 8, .steps = 20, .rate = 0.05};
  auto const expected = trained(task, whole);
  CHECK(std::any_of(expected.begin(), expected.end(), [](float x) { return x != 0; }));
  thread_pool pool(2);
  for (std::size_t const size : {1u, 3u}) {
    auto cut = whole;
    cut.micro_batch_size = size;
    cut.threads = pool.executor();
    CHECK(test::same_bytes(trained(task, cut), expected));
  }
  auto const path =
      (std::filesystem::temp_directory_path() / "prefer_aggregated_test.checkpoint").string();
  CHECK(test::same_bytes(trained(task, whole, path), expected));
  std::filesystem::remove(path);
}

TEST_CASE("aggregated: a cache of an LD-DPO reference for the same pairs trains the same",
          "[policy][aggregated]") {
  problem const task;
  train_options const options{.batch_size = 8, .steps = 20, .rate = 0.05};
  weighted_model policy(bigram<float>(4, task.table), {.alpha = 0.5});
  auto reference = cached<float>::of(policy, task.data, fingerprint_of(task.table));
  trainer(policy, dpo{.beta = 0.5}, reference, task.data, options).run();
  auto const values = policy.parameters()[0].value;
  CHECK(test::same_bytes(std::vector<float>(values.begin(), values.end()), trained(task, options)));
}

TEST_CASE("aggregated: lengths that count what the aggregation counts reach the loss",
          "[policy][aggregated]") {
  // In floats of a few nats. A uniform policy over 4 tokens has -ln 4 per token that counts: so counted, SimPO's
  // margin is 0. Per token of the data the margins with the four rejected completions are 2 ln 4 times
  // 4/5 - 1, 1 - 2/3, 3.5/4 - 1 and 0; their mean is ln 4 / 240.
  problem task;
  auto const first_step = [&] {
    weighted_model policy(bigram<float>(4, task.table), {.alpha = 0.5});
    no_reference<float> none;
    simpo const loss{.beta = 2.0, .gamma = 0.0};
    return trainer(policy, loss, none, task.data, {.batch_size = 16}).step();
  };
  CHECK(first_step().reward_margin == Approx(std::log(4.0) / 240).margin(1e-6));
  weighted_model policy(bigram<float>(4, task.table), {.alpha = 0.5});
  policy.length(task.data.batch(), task.data.length);
  auto const even = first_step();
  CHECK(even.reward_margin == Approx(0).margin(1e-6));
  CHECK(even.loss == Approx(std::numbers::ln2));
}
