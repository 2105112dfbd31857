// SPDX-License-Identifier: MIT
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/ipo.hpp>
#include <prefer/loss/simpo.hpp>
#include <prefer/reference/cached.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/train/trainer.hpp>
#include <span>
#include <string>
#include <train/small_problem.hpp>
#include <utility>
#include <vector>

#include "trainer_subjects.hpp"

using namespace trainer_subjects;

TEST_CASE("trainer: beta follows its schedule", "[train][trainer]") {
  // From 1/2 to 1 in two steps; IPO's loss at a margin of 0 is 1 / (2 beta)^2. The rate is too small to
  // move a logit.
  table policy(1, 2);
  no_reference<double> reference;
  choice_data data;
  data.add_pair(0, 0, 1);
  trainer run(policy, prefer::ipo_sum{.beta = 7.0}, reference, data, {.steps = 4, .rate = 1e-300},
              prefer::linear_beta{.from = 0.5, .to = 1.0, .steps = 2});
  std::vector<double> betas;
  std::vector<double> losses;
  run.run([&](step_report const& r) {
    betas.push_back(r.beta);
    losses.push_back(r.loss);
  });
  CHECK(betas == std::vector{0.5, 0.75, 1.0, 1.0});
  CHECK(losses[0] == 1);
  CHECK(losses[1] == Approx(4.0 / 9));
  CHECK(losses[2] == 0.25);
  CHECK(losses[3] == 0.25);
}

TEST_CASE("trainer: an epoch shows every row once, the last batch shorter, in a new order",
          "[train][trainer]") {
  table policy(small::prompts, small::completions);
  row_recorder reference;
  auto const data = small::pairs(10);
  trainer run(policy, prefer::dpo{}, reference, data, {.batch_size = 4, .epochs = 2});
  CHECK(run.steps_per_epoch() == 3);
  CHECK(run.steps_planned() == 6);
  CHECK(run.run() == prefer::run_outcome::finished);
  CHECK(run.done());
  CHECK(run.steps_done() == 6);
  REQUIRE(reference.batches.size() == 6);
  std::vector<std::vector<std::size_t>> epochs(2);
  for (std::size_t i = 0; i < 6; ++i) {
    auto const& rows = reference.batches[i];
    CHECK(rows.size() == (i % 3 == 2 ? 2 : 4));
    epochs[i / 3].insert(epochs[i / 3].end(), rows.begin(), rows.end());
  }
  CHECK(epochs[0] != epochs[1]);
  for (auto& rows : epochs) {
    std::sort(rows.begin(), rows.end());
    CHECK(rows == std::vector<std::size_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  }
}

TEST_CASE("trainer: the seed alone decides the order of rows", "[train][trainer]") {
  auto const data = small::pairs(10);
  auto const order = [&](std::uint64_t seed) {
    table policy(small::prompts, small::completions);
    row_recorder reference;
    trainer(policy, prefer::dpo{}, reference, data, {.batch_size = 4, .seed = seed}).run();
    return reference.batches;
  };
  CHECK(order(1) == order(1));
  CHECK(order(1) != order(2));
}

TEST_CASE("trainer: steps are counted from epochs unless they are given", "[train][trainer]") {
  table policy(small::prompts, small::completions);
  no_reference<double> reference;
  auto const data = small::pairs(10);
  auto const planned = [&](train_options const& options) {
    return trainer(policy, prefer::dpo{}, reference, data, options).steps_planned();
  };
  CHECK(planned({.batch_size = 5, .epochs = 3}) == 6);
  CHECK(planned({.batch_size = 3, .epochs = 3}) == 12);
  CHECK(planned({.batch_size = 3, .epochs = 3, .steps = 5}) == 5);
  CHECK(planned({.batch_size = 3, .epochs = 3, .steps = 50}) == 50);
  CHECK(planned({.batch_size = all_rows, .epochs = 3}) == 3);
  CHECK(planned({.batch_size = 3, .epochs = 0}) == 0);
  std::uint64_t const forever = std::numeric_limits<std::uint64_t>::max();
  CHECK(planned({.batch_size = 3, .epochs = forever}) == forever);
}

TEST_CASE("trainer: a plan without steps does nothing", "[train][trainer]") {
  auto policy = small::policy<table>();
  no_reference<double> reference;
  auto const data = small::pairs(10);
  auto const before = state_of(policy);
  trainer run(policy, prefer::dpo{}, reference, data, {.epochs = 0});
  CHECK(run.run() == prefer::run_outcome::finished);
  CHECK(state_of(policy) == before);
}

TEST_CASE("trainer: a callback that returns false interrupts, and the run can go on",
          "[train][trainer]") {
  auto const data = small::pairs(20);
  auto policy = small::policy<table>();
  no_reference<double> reference;
  train_options const options{.batch_size = 4, .epochs = 2};
  trainer run(policy, prefer::dpo{}, reference, data, options);
  CHECK(run.run([](step_report const& r) { return r.step < 3; }) ==
        prefer::run_outcome::interrupted);
  CHECK(run.steps_done() == 3);
  CHECK_FALSE(run.done());
  CHECK(run.run() == prefer::run_outcome::finished);

  auto whole = small::policy<table>();
  trainer(whole, prefer::dpo{}, reference, data, options).run();
  CHECK(state_of(policy) == state_of(whole));
}

TEST_CASE("trainer: stops early, and ends with its best parameters where asked",
          "[train][trainer]") {
  auto const data = small::pairs(20);
  no_reference<double> reference;
  train_options const options{.batch_size = 2, .epochs = 2, .rate = 0.05};  // 20 steps
  for (bool const restore : {false, true}) {
    auto policy = small::policy<table>();
    trainer run(policy, prefer::dpo{}, reference, data, options);
    // The best evaluation is the second, at step 4; patience ends with the fourth, at step 8.
    std::vector<double> const scores = {1, 3, 2, 3};
    std::size_t evaluations = 0;
    std::vector<double> best;
    std::vector<double> last;
    auto const outcome = run.run([&](step_report const&) { last = state_of(policy); },
                                 {.every = 2, .patience = 2, .restore_best = restore},
                                 [&](table& p) {
                                   if (evaluations == 1) best = state_of(p);
                                   return scores.at(evaluations++);
                                 });
    CHECK(outcome == prefer::run_outcome::stopped_early);
    CHECK(run.steps_done() == 8);
    CHECK(run.done());
    CHECK(run.best_evaluation() == 3);
    CHECK(best != last);
    CHECK(state_of(policy) == (restore ? best : last));
  }
}

TEST_CASE("trainer: an improvement counts from min_improvement on, and NaN is none",
          "[train][trainer]") {
  auto const data = small::pairs(20);
  no_reference<double> reference;
  auto const steps_until_stop = [&](std::vector<double> const& scores, double min_improvement) {
    auto policy = small::policy<table>();
    trainer run(policy, prefer::dpo{}, reference, data, {.batch_size = 2});
    std::size_t evaluations = 0;
    run.run([](step_report const&) {},
            {.every = 1, .patience = 2, .min_improvement = min_improvement},
            [&](table&) { return scores.at(evaluations++); });
    return run.steps_done();
  };
  std::vector<double> const rising = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  CHECK(steps_until_stop(rising, 0) == 10);
  CHECK(steps_until_stop(rising, 1) == 10);  // every other one exceeds the best by 2
  CHECK(steps_until_stop(rising, 9) == 3);
  CHECK(steps_until_stop({5, std::nan(""), 6, std::nan(""), std::nan("")}, 0) == 5);
  CHECK(steps_until_stop({std::nan(""), std::nan("")}, 0) == 2);
}

TEST_CASE("trainer: a plan of evaluations that would be ignored is refused before the first step",
          "[train][trainer]") {
  auto const data = small::pairs(10);
  no_reference<double> reference;
  auto const refused = [&](prefer::evaluation_plan const& plan, std::string const& words) {
    auto policy = small::policy<table>();
    auto const before = state_of(policy);
    trainer run(policy, prefer::dpo{}, reference, data, {.batch_size = 2});
    CHECK_THROWS_WITH(run.run([](step_report const&) {}, plan, [](table&) { return 0.0; }),
                      Catch::Contains(words));
    CHECK(run.steps_done() == 0);
    CHECK(state_of(policy) == before);
  };
  refused({.patience = 2}, "every is 0");
  refused({.restore_best = true}, "every is 0");
  refused({.every = 1, .min_improvement = std::nan("")},
          "trainer: min_improvement is nan, expected a finite number");
}

TEST_CASE("trainer: evaluates every so many steps and at the end", "[train][trainer]") {
  auto const data = small::pairs(10);
  auto policy = small::policy<table>();
  no_reference<double> reference;
  trainer run(policy, prefer::dpo{}, reference, data, {.batch_size = 1});
  std::vector<std::uint64_t> at;
  run.run([](step_report const&) {}, {.every = 4},
          [&](table&) {
            at.push_back(run.steps_done());
            return 0.0;
          });
  CHECK(at == std::vector<std::uint64_t>{4, 8, 10});
}

TEST_CASE("trainer: a reference's after_step runs once per step with the moved policy",
          "[train][trainer]") {
  struct following {
    using value_type = double;
    std::vector<std::uint64_t> steps;
    std::vector<std::vector<double>> seen;
    void log_prob(choice_batch const&, std::span<double> out) {
      std::fill(out.begin(), out.end(), 0.0);
    }
    void after_step(table& policy, std::uint64_t step) {
      steps.push_back(step);
      seen.push_back(state_of(policy));
    }
  };
  auto const data = small::pairs(6);
  auto policy = small::policy<table>();
  following reference;
  trainer run(policy, prefer::dpo{}, reference, data, {.batch_size = 2});
  std::vector<std::vector<double>> after;
  run.run([&](step_report const&) { after.push_back(state_of(policy)); });
  CHECK(reference.steps == std::vector<std::uint64_t>{1, 2, 3});
  CHECK(reference.seen == after);
}

TEST_CASE("trainer: policy and reference may store different floats", "[train][trainer]") {
  auto const data = small::pairs(9);
  auto policy = small::policy<prefer::tabular<float>>();
  auto const start = small::policy<table>();  // the same numbers
  auto exact = prefer::frozen(start);
  auto reference = prefer::cached<double>::of(exact, data, 0);
  trainer run(policy, prefer::dpo{}, reference, data,
              {.reference_is_start = true, .allow_logits = false});
  CHECK(run.step().loss == Approx(std::numbers::ln2).epsilon(1e-6));
}

TEST_CASE("trainer: takes its threads back when it goes", "[train][trainer]") {
  counting_engine engine;
  auto const data = small::with_lengths(small::pairs(9));
  prefer::matrix_factorization<float> policy(small::prompts, 500,
                                             4);  // more than one piece of work
  auto reference = prefer::frozen(policy);
  std::vector<float> out(18);
  {
    trainer run(policy, prefer::simpo{}, reference, data, {.threads = engine.executor()});
    policy.log_prob(data.batch(), out);
    REQUIRE(std::exchange(engine.calls, 0) > 0);
    reference.log_prob(data.batch(), out);
    REQUIRE(std::exchange(engine.calls, 0) > 0);
  }
  policy.log_prob(data.batch(), out);
  reference.log_prob(data.batch(), out);
  CHECK(engine.calls == 0);
}
