// SPDX-License-Identifier: MIT
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/ipo.hpp>
#include <prefer/loss/kto.hpp>
#include <prefer/loss/nll.hpp>
#include <prefer/loss/plackett_luce.hpp>
#include <prefer/loss/simpo.hpp>
#include <prefer/loss/softmax_dpo.hpp>
#include <prefer/parallel/thread_pool.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/train/trainer.hpp>
#include <span>
#include <train/small_problem.hpp>
#include <type_traits>
#include <utility>

#include "trainer_subjects.hpp"

using namespace trainer_subjects;

TEMPLATE_TEST_CASE("trainer: DPO starts at a loss of ln 2 where the reference is the start",
                   "[train][trainer]", prefer::tabular<float>, prefer::tabular<double>,
                   prefer::matrix_factorization<float>, prefer::log_linear<double>) {
  // sigmoid(0) = 1/2, whatever beta is.
  for (double const beta : {1e-3, 0.1, 1.0, 50.0}) {
    auto policy = small::policy<TestType>();
    auto reference = prefer::frozen(policy);
    auto const data = small::pairs(23);
    trainer run(policy, prefer::dpo{.beta = beta}, reference, data,
                {.batch_size = all_rows, .reference_is_start = true});
    auto const report = run.step();
    CHECK(report.loss == Approx(std::numbers::ln2).epsilon(1e-7));
    CHECK(report.reward_margin == 0);
    CHECK(report.accuracy == 0);  // a tie is a miss
    CHECK(report.beta == beta);
  }
}

TEMPLATE_TEST_CASE("trainer: micro-batches and threads change no bit", "[train][trainer]",
                   prefer::tabular<float>, prefer::tabular<double>,
                   prefer::matrix_factorization<float>, prefer::log_linear<double>) {
  SECTION("a loss of margins") { same_for_every_cut<TestType>(prefer::dpo{}, small::pairs(23)); }
  SECTION("a loss of log-probabilities per token") {
    same_for_every_cut<TestType>(prefer::simpo{}, small::with_lengths(small::pairs(23)));
  }
  SECTION("a loss with a batch statistic") {
    same_for_every_cut<TestType>(prefer::kto{}, small::labelled(23));
  }
  SECTION("a loss that remembers") {
    same_for_every_cut<TestType>(remembering{}, small::pairs(23));
  }
  SECTION("labelled examples") {
    same_for_every_cut<TestType>(prefer::unpaired_loss([](auto const& y) { return -y.log_prob; }),
                                 small::labelled(23));
  }
  SECTION("lists") {
    same_for_every_cut<TestType>(prefer::plackett_luce{}, small::lists(23));
    same_for_every_cut<TestType>(prefer::softmax_dpo{}, small::lists(23));
  }
}

TEMPLATE_TEST_CASE("trainer: enough work for several threads changes no bit either",
                   "[train][trainer]", prefer::dpo, prefer::simpo) {
  prefer::choice_data data;
  for (std::uint32_t i = 0; i < 300; ++i) data.add_pair(i * 7 % 50, i * 11 % 200, 200 + i % 30);
  if (std::is_same_v<TestType, prefer::simpo>) data = small::with_lengths(std::move(data));
  auto const state_with = [&](prefer::executor threads, std::size_t micro) {
    prefer::matrix_factorization<float> policy(50, 230, 8);
    for (auto const& each : policy.parameters()) {
      auto const from = small::values<float>(each.value.size());
      std::copy(from.begin(), from.end(), each.value.begin());
    }
    auto reference = prefer::frozen(policy);
    trainer(policy, TestType{}, reference, data,
            {.batch_size = 128, .micro_batch_size = micro, .rate = 0.05, .threads = threads})
        .run();
    return state_of(policy);
  };
  prefer::thread_pool pool(2);
  auto const expected = state_with({}, 0);
  CHECK(state_with(pool.executor(), 0) == expected);
  CHECK(state_with(pool.executor(), 50) == expected);
  CHECK(state_with({}, 50) == expected);
}

TEST_CASE("trainer: logits in place of log-probabilities change rounding alone",
          "[train][trainer]") {
  // A margin of log-probabilities up to 8 nats is off by at most 4 roundings of 2^-50 nats, and of
  // logits by less. AdamW divides a gradient by its own size, so a relative error of 1e-14 stays one
  // in each of the 9 moves of 0.05.
  auto const data = small::pairs(23);
  train_options options{.batch_size = 10, .epochs = 3, .rate = 0.05};
  auto const with_logits = trained<table>(prefer::dpo{}, data, options);
  options.allow_logits = false;
  auto const without = trained<table>(prefer::dpo{}, data, options);
  for (std::size_t i = 0; i < with_logits.parameters.size(); ++i) {
    CHECK(std::abs(with_logits.parameters[i] - without.parameters[i]) < 1e-12);
  }
  for (std::size_t i = 0; i < with_logits.losses.size(); ++i) {
    CHECK(std::abs(with_logits.losses[i] - without.losses[i]) < 1e-12);
  }
}

TEST_CASE("trainer: uses logits for losses of margins alone, and only if allowed",
          "[train][trainer]") {
  struct counting : table {
    using table::tabular;
    int scored = 0;
    int normalised = 0;
    void logit(choice_batch const& batch, std::span<double> out) {
      ++scored;
      table::logit(batch, out);
    }
    void log_prob(choice_batch const& batch, std::span<double> out) {
      ++normalised;
      table::log_prob(batch, out);
    }
  };
  auto const data = small::with_lengths(small::pairs(4));
  no_reference<double> reference;
  counting policy(small::prompts, small::completions);
  trainer(policy, prefer::dpo{}, reference, data).step();
  CHECK(policy.scored == 1);
  CHECK(policy.normalised == 0);
  trainer(policy, prefer::dpo{}, reference, data, {.allow_logits = false}).step();
  CHECK(policy.scored == 1);
  CHECK(policy.normalised == 1);
  trainer(policy, prefer::simpo{}, reference, data).step();
  CHECK(policy.scored == 1);
  CHECK(policy.normalised == 2);
}

TEST_CASE("trainer: a batch with a statistic is scored once if it is not cut", "[train][trainer]") {
  struct counting : table {
    using table::tabular;
    int scored = 0;
    void log_prob(choice_batch const& batch, std::span<double> out) {
      if (!batch.kl_examples) ++scored;
      table::log_prob(batch, out);
    }
  };
  auto const data = small::labelled(8);
  no_reference<double> reference;
  counting policy(small::prompts, small::completions);
  trainer(policy, prefer::kto{}, reference, data, {.batch_size = 8}).step();
  CHECK(policy.scored == 1);
  trainer(policy, prefer::kto{}, reference, data, {.batch_size = 8, .micro_batch_size = 4}).step();
  CHECK(policy.scored == 5);
}

TEST_CASE("trainer: a step's report agrees with a calculation by hand", "[train][trainer]") {
  // beta 1 and no reference: margins are +-ln 2, so the losses are log(1 + 1/2) and log(1 + 2), with
  // derivatives -1/3 and -2/3 by the margin. On logit 1 that is (-1/3 + 2/3) / 2 = 1/6, on logit 0 -1/6.
  two_by_hand at;
  trainer run(at.policy, prefer::dpo{.beta = 1.0}, at.reference, at.data,
              {.rate = 0.25, .max_gradient_norm = 100});
  auto const report = run.step();
  CHECK(report.step == 1);
  CHECK(report.steps == 1);
  CHECK(report.loss == Approx((std::log(1.5) + std::log(3.0)) / 2));
  CHECK(report.learning_rate == 0.25);
  CHECK(report.beta == 1);
  CHECK(report.reward_margin == Approx(0).margin(1e-15));
  CHECK(report.accuracy == 0.5);
  CHECK(report.gradient_norm == Approx(std::numbers::sqrt2 / 6));
}

TEST_CASE("trainer: what does not apply to a step is NaN in its report", "[train][trainer]") {
  table policy(small::prompts, small::completions);
  no_reference<double> reference;
  auto const data = small::labelled(5);
  auto const report = trainer(policy, prefer::kto{}, reference, data).step();
  CHECK(std::isnan(report.gradient_norm));  // no limit: not measured
  CHECK(std::isnan(report.reward_margin));  // no pairs
  CHECK(std::isnan(report.accuracy));
}

TEST_CASE("trainer: log-probabilities and what fell below the reference are reported if not logits",
          "[train][trainer]") {
  // Logits 0 and ln 3 give probabilities 1/4 and 3/4; the reference gives 1/2 to both. Chosen are, in
  // turn, completion 1 and twice completion 0: two of three fell.
  table policy(1, 2, {0.0, std::log(3.0)});
  auto reference = prefer::frozen(table(1, 2));
  choice_data data;
  data.add_pair(0, 1, 0);
  data.add_pair(0, 0, 1);
  data.add_pair(0, 0, 1);
  auto const report_of = [&](auto const& loss, bool allow_logits) {
    table start = policy;
    return trainer(start, loss, reference, data, {.allow_logits = allow_logits}).step();
  };
  auto const report = report_of(prefer::dpo{}, false);
  CHECK(report.log_prob_chosen == Approx((std::log(0.75) + 2 * std::log(0.25)) / 3));
  CHECK(report.log_prob_rejected == Approx((std::log(0.25) + 2 * std::log(0.75)) / 3));
  CHECK(report.displaced_share == Approx(2.0 / 3));
  double const log_ratio = report.log_prob_chosen - std::log(0.5);
  CHECK(report.reward_chosen == Approx(prefer::dpo{}.beta * log_ratio));
  CHECK(std::isnan(report_of(prefer::dpo{}, true).reward_chosen));
  CHECK(std::isnan(report_of(prefer::dpo{}, true).log_prob_chosen));  // logits: log_prob + anything
  CHECK(std::isnan(report_of(prefer::dpo{}, true).displaced_share));
  // NLL reads no margin, so never logits; and no reference.
  CHECK(report_of(prefer::nll{}, true).log_prob_chosen == report.log_prob_chosen);
  CHECK(std::isnan(report_of(prefer::nll{}, true).displaced_share));
}

TEST_CASE("trainer: an optimizer step follows the gradient of the mean loss", "[train][trainer]") {
  // The gradient by hand above, (-1/6, 1/6), times a rate of 0.6.
  two_by_hand at;
  trainer run(at.policy, prefer::dpo{.beta = 1.0}, at.reference, at.data,
              {.rate = 0.6 * small::gradient_descent_scale, .optimizer = small::gradient_descent});
  run.step();
  CHECK(state_of(at.policy)[0] == Approx(0.1).epsilon(1e-7));
  CHECK(state_of(at.policy)[1] == Approx(std::numbers::ln2 - 0.1).epsilon(1e-7));
}

TEST_CASE("trainer: a clipped gradient has the length that is allowed", "[train][trainer]") {
  two_by_hand at;
  trainer run(at.policy, prefer::dpo{.beta = 1.0}, at.reference, at.data,
              {.rate = small::gradient_descent_scale,
               .optimizer = small::gradient_descent,
               .max_gradient_norm = 1e-3});
  CHECK(run.step().gradient_norm == Approx(std::numbers::sqrt2 / 6));  // before clipping
  auto const after = state_of(at.policy);
  CHECK(std::hypot(after[0], after[1] - std::numbers::ln2) == Approx(1e-3).epsilon(1e-6));
}

TEST_CASE("trainer: the learning rate of each step is the schedule's", "[train][trainer]") {
  // Gradient descent on -log_prob of completion 0 of 2: the move is rate * (1 - p).
  table policy(1, 2);
  no_reference<double> reference;
  choice_data data;
  data.add_labelled(0, 0, true);
  double const scale = small::gradient_descent_scale;
  auto const rate = prefer::learning_rate::linear(
      {.peak = scale, .steps = 4, .warm_up = {.steps = 2}});  // 1/2, 1, 1, 1/2 times the peak
  trainer run(policy, prefer::unpaired_loss([](auto const& y) { return -y.log_prob; }), reference,
              data, {.steps = 4, .rate = rate, .optimizer = small::gradient_descent});
  for (double const expected : {0.5, 1.0, 1.0, 0.5}) {
    auto const before = state_of(policy);
    double const p = 1 / (1 + std::exp(before[1] - before[0]));
    CHECK(run.step().learning_rate == expected * scale);
    CHECK(state_of(policy)[0] - before[0] == Approx(expected * (1 - p)).epsilon(1e-6));
  }
}

TEST_CASE("trainer: weights multiply losses, and the mean still divides by the batch",
          "[train][trainer]") {
  table policy(1, 2);  // uniform: each loss is ln 2
  no_reference<double> reference;
  choice_data data;
  data.add_pair(0, 0, 1);
  data.add_pair(0, 1, 0);
  data.weight = {1, 3};
  CHECK(trainer(policy, prefer::dpo{}, reference, data).step().loss ==
        Approx(2 * std::numbers::ln2));
}

TEST_CASE("trainer: a row's own beta takes the place of the loss's", "[train][trainer]") {
  // At a margin of 0, IPO's loss is 1 / (2 beta)^2: 1 and 1/4.
  table policy(1, 2);
  no_reference<double> reference;
  choice_data data;
  data.add_pair(0, 0, 1);
  data.add_pair(0, 1, 0);
  data.beta = {0.5, 1};
  CHECK(trainer(policy, prefer::ipo_sum{.beta = 0.01}, reference, data).step().loss == 0.625);
}

TEST_CASE("trainer: lengths divide log-probabilities per token", "[train][trainer]") {
  // Both completions have the log-probability -ln 2, so SimPO's margin without a target is
  // beta * (-ln 2 / 2 + ln 2 / 4) = -ln 2 with beta 4.
  table policy(1, 2);
  no_reference<double> reference;
  choice_data data;
  data.add_pair(0, 0, 1);
  data.length = {2, 4};
  auto const report =
      trainer(policy, prefer::simpo{.beta = 4.0, .gamma = 0.0}, reference, data).step();
  CHECK(report.loss == Approx(std::log(3.0)));
}

TEST_CASE("trainer: a loss that reads lengths is not given any by default", "[train][trainer]") {
  table policy(small::prompts, small::completions);
  no_reference<double> reference;
  auto const data = small::pairs(4);
  CHECK(message_of([&] { trainer(policy, prefer::simpo{}, reference, data); }) ==
        "trainer: this loss reads length, which the data does not have; a completion that is one "
        "choice has length 1");
}

TEST_CASE("trainer: a row's own target margin reaches the loss", "[train][trainer]") {
  // A margin of 0 against targets of 1 and 3.
  table policy(1, 2);
  no_reference<double> reference;
  choice_data data;
  data.add_pair(0, 0, 1);
  data.add_pair(0, 1, 0);
  data.target_margin = {1, 3};
  auto const offset = prefer::pair_loss(
      [](auto const& p) { return square(p.log_prob_margin() - p.target_margin_or(0.0)); });
  CHECK(trainer(policy, offset, reference, data).step().loss == 5);
  auto const without = prefer::pair_loss([](auto const& p) { return square(p.log_prob_margin()); });
  CHECK(message_of([&] { trainer(policy, without, reference, data); }) ==
        "trainer: the data has a column target_margin, which this loss does not read");
}
