// SPDX-License-Identifier: MIT
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <numbers>
#include <prefer/aggregation/ld_dpo_weights.hpp>
#include <prefer/aggregation/step_mask.hpp>
#include <prefer/batch/step_pairs.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/simpo.hpp>
#include <prefer/model/bigram.hpp>
#include <prefer/policy/aggregated.hpp>
#include <prefer/reference/cached.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/reference/none.hpp>
#include <prefer/train/trainer.hpp>
#include <string>
#include <vector>

#include "aggregated_subjects.hpp"

using namespace aggregated_subjects;

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
  auto const start = test::filled_bigram<double>(6, masked.completions());
  aggregated by_mask(start, step_mask(masked.counted()));
  auto by_prompt = test::filled_bigram<double>(6, prompted.completions());
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
