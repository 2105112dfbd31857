// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cstddef>
#include <utility>
#include <vector>

#include <prefer/loss/aot.hpp>
#include <prefer/loss/kto.hpp>
#include <prefer/loss/simpo.hpp>
#include <prefer/model/bigram.hpp>
#include <prefer/reference/none.hpp>
#include <prefer/train/micro_batches.hpp>
#include <prefer/train/trainer.hpp>

#include "adapter_policy.hpp"
#include "small_problem.hpp"

// How a batch is cut, and what a caller hears of it.

namespace {

using prefer::part_report;
using prefer::run_outcome;
using prefer::step_report;
using prefer::train_options;
using prefer::trainer;
using small::adapter_policy;
using small::message_of;

std::vector<float> const base = {0.5f, -0.25f, 0.0f, 1.0f, 0.75f};

// Groups in each micro-batch of a batch with so many tokens in each group.
std::vector<std::size_t> cut(std::vector<std::uint32_t> const& tokens,
                             train_options const& options) {
  prefer::choice_data data;
  for (std::uint32_t const each : tokens) data.add_pair(each - 2, 0, 1);
  adapter_policy policy(base);
  prefer::detail::micro_batches parts;
  parts.cut(policy, data.batch(), options);
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    CHECK(parts.begin(i) == (i == 0 ? 0 : parts.begin(i - 1) + parts.count(i - 1)));
    out.push_back(parts.count(i));
  }
  return out;
}

using counts = std::vector<std::size_t>;

prefer::no_reference<double> nothing_near;

}  // namespace

TEST_CASE("micro-batches: as many groups as the limits let in, and at least one", "[train]") {
  CHECK(cut({3, 3, 3, 3, 3}, {}) == counts{5});
  CHECK(cut({3, 3, 3, 3, 3}, {.micro_batch_size = 2}) == counts{2, 2, 1});
  CHECK(cut({3, 3, 3, 3, 3}, {.micro_batch_tokens = 6}) == counts{2, 2, 1});
  CHECK(cut({3, 3, 3, 3, 3}, {.micro_batch_tokens = 8}) == counts{2, 2, 1});
  CHECK(cut({3, 4, 2, 9, 2, 2}, {.micro_batch_tokens = 7}) == counts{2, 1, 1, 2});
  CHECK(cut({9, 9}, {.micro_batch_tokens = 1}) == counts{1, 1});
  CHECK(cut({2, 2, 2, 2}, {.micro_batch_size = 3, .micro_batch_tokens = 100}) == counts{3, 1});
  CHECK(cut({2, 2, 9, 2}, {.micro_batch_size = 3, .micro_batch_tokens = 5}) == counts{2, 1, 1});
  CHECK(cut({}, {.micro_batch_tokens = 5}).empty());
}

TEST_CASE("micro-batches: without a count of its own a policy's tokens are those of completions",
          "[train]") {
  prefer::token_table table;
  table.add(std::vector<std::uint32_t>{0, 1, 1});
  table.add(std::vector<std::uint32_t>{1});
  prefer::bigram<double> policy(2, table);
  prefer::choice_data data;
  data.add_pair(0, 0, 1);
  data.add_pair(1, 1, 0);
  data.add_list(0, std::vector<std::uint32_t>{1});
  std::vector<std::size_t> tokens;
  prefer::detail::count_group_tokens(policy, data.batch(), tokens);
  CHECK(tokens == counts{4, 4, 1});
}

TEST_CASE("micro-batches: a policy without tokens is not cut by them", "[train]") {
  auto const data = small::pairs(4);
  auto policy = small::policy<prefer::tabular<double>>();
  trainer run(policy, prefer::aot{}, nothing_near, data, {.micro_batch_tokens = 3});
  CHECK_THAT(message_of([&] { run.step(); }),
             Catch::Contains("micro_batch_tokens needs a policy that counts tokens"));
}

TEST_CASE("trainer: a cut by tokens changes no bit", "[train]") {
  auto const data = small::with_lengths(small::pairs(12));
  auto const trained = [&](auto const& loss, train_options options) {
    options.batch_size = 5;
    adapter_policy policy(base);
    trainer(policy, loss, nothing_near, data, options).run();
    return state_of(policy);
  };
  CHECK(trained(prefer::simpo{}, {}) == trained(prefer::simpo{}, {.micro_batch_tokens = 6}));
  CHECK(trained(prefer::aot{}, {}) == trained(prefer::aot{}, {.micro_batch_tokens = 6}));
}

TEST_CASE("trainer: says after each micro-batch how far a step is", "[train]") {
  auto const reports = [](auto const& loss, prefer::choice_data const& data) {
    adapter_policy policy(base);
    trainer run(policy, loss, nothing_near, data,
                {.batch_size = 5, .micro_batch_size = 2, .steps = 2});
    std::vector<std::pair<std::size_t, std::size_t>> out;
    CHECK(run.run([](step_report const&) {},
                  [&](part_report const& part) {
                    if (part.step == 2) out.emplace_back(part.done, part.of);
                  }) == run_outcome::finished);
    return out;
  };
  using list = std::vector<std::pair<std::size_t, std::size_t>>;
  auto const pairs = small::with_lengths(small::pairs(10));
  CHECK(reports(prefer::simpo{}, pairs) == list{{2, 5}, {4, 5}, {5, 5}});
  // A statistic of the batch takes a pass of its own, and one more over the completions of other prompts.
  CHECK(reports(prefer::aot{}, pairs) ==
        list{{2, 10}, {4, 10}, {5, 10}, {7, 10}, {9, 10}, {10, 10}});
  auto const kto = reports(prefer::kto{}, small::labelled(10));
  CHECK(kto.size() == 9);
  CHECK(kto.back() == std::pair<std::size_t, std::size_t>{15, 15});
}

TEMPLATE_TEST_CASE("trainer: a step that is interrupted within is not taken", "[train]",
                   prefer::simpo, prefer::aot) {
  auto const data = small::with_lengths(small::pairs(10));
  train_options const options{.batch_size = 5, .micro_batch_size = 2, .steps = 6};
  adapter_policy whole(base);
  trainer(whole, TestType{}, nothing_near, data, options).run();

  for (std::size_t const at : {1u, 3u, 4u, 6u}) {
    CAPTURE(at);
    adapter_policy policy(base);
    trainer run(policy, TestType{}, nothing_near, data, options);
    run.step();
    auto const before = state_of(policy);
    std::size_t parts = 0;
    auto const outcome = run.run([](step_report const&) { return false; },
                                 [&](part_report const&) { return ++parts != at; });
    CHECK(outcome == run_outcome::interrupted);
    std::size_t const parts_of_a_step = std::is_same_v<TestType, prefer::aot> ? 6 : 3;
    bool const within = at <= parts_of_a_step;
    CHECK(run.steps_done() == (within ? 1 : 2));
    CHECK((state_of(policy) == before) == within);
    // What the interrupted step has left in gradients is gone.
    CHECK(run.run() == run_outcome::finished);
    CHECK(state_of(policy) == state_of(whole));
  }
}
