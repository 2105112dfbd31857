// SPDX-License-Identifier: MIT
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include <prefer/parallel/thread_pool.hpp>
#include <prefer/parallel/thread_processes.hpp>
#include <prefer/reference/moving_average.hpp>

#include "train/rollout_problem.hpp"

// Training by policy gradients has what every training has: threads, micro-batches, processes, checkpoints.

namespace {

using namespace prefer;
using numbers = std::vector<double>;

constexpr std::size_t steps = 20;  // three rollouts of six steps, and two of a fourth
train_options const plain = {.steps = steps, .rate = 0.05, .max_gradient_norm = 0.5};

auto const to_the_end = [](auto& run, auto&) { run.run(); };

}  // namespace

TEMPLATE_TEST_CASE("rollouts: the same bits on threads, in any micro-batches and after any resume",
                   "[train][rollouts]", small::by_ppo, small::by_reinforce, small::by_grpo) {
  auto const path = std::filesystem::temp_directory_path() / "prefer_rollouts.ckpt";
  auto const file = [&](std::size_t step) { return path.string() + std::to_string(step); };
  auto const whole = small::train<TestType>(
      plain,
      [&](auto& run, auto&) {
        for (std::size_t step = 0; step != steps; ++step) {
          run.save(file(step));
          run.step();
        }
      },
      single_process{});
  auto in_pieces = plain;
  in_pieces.micro_batch_tokens = 3;
  thread_pool pool(3);
  in_pieces.threads = pool.executor();
  CHECK(small::train<TestType>(in_pieces, to_the_end, single_process{}) == whole);
  for (std::size_t step = 0; step != steps; ++step) {
    CAPTURE(step);
    CHECK(small::train<TestType>(
              plain,
              [&](auto& run, auto&) {
                run.resume(file(step));
                run.run();
              },
              single_process{}) == whole);
    std::filesystem::remove(file(step));
  }
}

TEMPLATE_TEST_CASE("rollouts: processes that share them reach what one reaches, and equal bits",
                   "[train][rollouts]", small::by_ppo, small::by_reinforce, small::by_grpo) {
  auto const whole = small::train<TestType>(plain, to_the_end, single_process{});
  for (std::size_t const count : {2U, 5U}) {
    std::vector<numbers> of(count);
    thread_processes::run(count, [&](auto const& mine) {
      of[mine.rank()] = small::train<TestType>(plain, to_the_end, mine);
    });
    for (auto const& each : of) CHECK(each == of[0]);
    double furthest = 0.0;
    for (std::size_t i = 0; i != whole.size(); ++i) {
      furthest = std::fmax(furthest, std::fabs(of[0][i] - whole[i]));
    }
    // Sums in another order: 20 steps of Adam, whose first ones divide a gradient by its own size.
    CHECK(furthest < 1e-9);
  }
}

TEST_CASE("rollouts: a reference that moves is asked as it is when a rollout is written",
          "[train][rollouts]") {
  small::writing on;
  moving_average reference(on.start, tr_dpo{.alpha = 1.0, .every = 1});
  rollouts source(on.policy, on.table, small::seven_prompts(), &small::reward_of, reference,
                  small::by_ppo::method(on), small::in_pieces);
  trainer run(on.policy, small::by_ppo::loss, reference, source, plain);
  for (int step = 0; step != 6; ++step) run.step();
  CHECK(source.last().kl != 0.0);
  run.step();  // of a rollout that a policy wrote which was the reference then
  CHECK(source.last().number == 2);
  CHECK(source.last().kl == 0.0);
}

TEST_CASE("rollouts: processes with different value models are refused", "[train][rollouts]") {
  std::vector<std::string> said(2);
  thread_processes::run(2, [&](auto const& mine) {
    small::writing on;
    on.values.parameters()[0].value[3] = mine.rank() == 0 ? 0.0 : 1.0;
    rollouts source(on.policy, on.table, small::seven_prompts(), &small::reward_of, on.reference,
                    small::by_ppo::method(on), small::in_pieces);
    trainer run(on.policy, small::by_ppo::loss, on.reference, source, plain, {}, mine);
    said[mine.rank()] = small::message_of([&] { run.step(); });
  });
  for (auto const& each : said) {
    CHECK(each == "ppo_method: process 1 has another value model than process 0");
  }
}

TEST_CASE("rollouts: conventions, unless others are given", "[train][rollouts]") {
  // As the tables of docs/guides/rewards.md have them: comparisons with other implementations hang on them.
  ppo_options const ppo;
  CHECK((ppo.kl.coefficient == 0.05 && ppo.kl.estimator == kl_estimator::k1));
  CHECK((ppo.kl.target == 0.0 && ppo.kl.gain == 0.1));
  CHECK((ppo.horizon.discount == 1.0 && ppo.horizon.lambda == 0.95));
  CHECK((ppo.whiten_advantages && !ppo.whiten_rewards && ppo.score_after_end));
  CHECK(ppo.value.clip == 0.2);
  rloo_options const rloo;
  CHECK((rloo.kl.coefficient == 0.05 && rloo.kl.estimator == kl_estimator::k1));
  CHECK_FALSE(rloo.standardise);
  CHECK(reinforce_options{}.decay == 0.9);
  grpo_options const grpo;
  CHECK((grpo.scale == reward_scale::group && grpo.mean == token_mean::per_token));
  CHECK_FALSE(grpo.leave_out_truncated);
}

TEST_CASE("rollouts: a KL coefficient moves by a tenth of the error, and of no more than a fifth",
          "[train][rollouts]") {
  auto const after = [](double kl) {
    detail::kl_controller control({.coefficient = 2.0, .target = 4.0}, "test");
    control.observe(kl);
    return control.coefficient();
  };
  CHECK(after(4.0) == 2.0);
  CHECK(after(4.4) == Approx(2.0 * 1.01).epsilon(1e-14));
  CHECK(after(3.6) == Approx(2.0 * 0.99).epsilon(1e-14));
  CHECK(after(40.0) == Approx(2.0 * 1.02).epsilon(1e-14));
  CHECK(after(-1.0) == Approx(2.0 * 0.98).epsilon(1e-14));
  CHECK(after(std::nan("")) == 2.0);
  detail::kl_controller fixed({.coefficient = 2.0}, "test");
  fixed.observe(40.0);
  CHECK(fixed.coefficient() == 2.0);
}

TEMPLATE_TEST_CASE("rollouts: every method that pays for KL divergence follows its target",
                   "[train][rollouts]", small::by_ppo, small::by_reinforce, small::by_rloo) {
  small::writing on;
  rollouts source(on.policy, on.table, small::seven_prompts(), &small::reward_of, on.reference,
                  TestType::method(on), small::in_pieces);
  trainer run(on.policy, TestType::loss, on.reference, source, plain);
  run.step();
  CHECK(source.last().kl_coefficient == 0.2);
  double error = source.last().kl / 0.3 - 1.0;
  error = error > 0.2 ? 0.2 : error < -0.2 ? -0.2 : error;
  REQUIRE(error != 0.0);
  while (source.last().number == 1) run.step();
  CHECK(source.last().kl_coefficient == Approx(0.2 * (1.0 + 0.1 * error)).epsilon(1e-14));
}

TEST_CASE("ppo_method: a score has a step after the end of its own, unless it is to have none",
          "[train][rollouts]") {
  for (bool const after_end : {true, false}) {
    small::writing on;
    rollouts source(on.policy, on.table, small::seven_prompts(), &small::reward_of, on.reference,
                    ppo_method(on.values, {.score_after_end = after_end}), small::in_pieces);
    trainer run(on.policy, small::by_ppo::loss, on.reference, source, plain);
    run.step();
    auto const& of = source.current();
    auto const& first_step = source.method().steps();
    REQUIRE(first_step.size() == of.size() + 1);
    std::size_t ended = 0;
    for (std::size_t i = 0; i != of.size(); ++i) {
      std::size_t const tokens = of.token_offset[i + 1] - of.token_offset[i];
      bool const one_more = after_end && tokens < small::longest;
      CHECK(first_step[i + 1] - first_step[i] == tokens + (one_more ? 1 : 0));
      ended += tokens < small::longest ? 1 : 0;
    }
    CHECK(ended > 0);
  }
}
