// SPDX-License-Identifier: MIT
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include <catch2/catch.hpp>

#include <prefer/beta/schedule.hpp>
#include <prefer/loss/aot.hpp>
#include <prefer/loss/bco.hpp>
#include <prefer/loss/beta_dpo.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/kto.hpp>
#include <prefer/loss/nll.hpp>
#include <prefer/loss/plackett_luce.hpp>
#include <prefer/loss/simpo.hpp>
#include <prefer/loss/xpo.hpp>
#include <prefer/model/bigram.hpp>
#include <prefer/parallel/thread_processes.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/reference/moving_average.hpp>
#include <prefer/train/sampled.hpp>
#include <prefer/train/trainer.hpp>

#include "train/course.hpp"

// One run on several processes is the run on one, whatever the loss takes from a batch.

namespace {

using namespace prefer;
using process = thread_processes::process;

constexpr std::size_t rows = small::rows;
constexpr train_options options = small::for_processes;

template <class L>
choice_data data_for(std::size_t count = rows) {
  if constexpr (L::arity == 1) {
    auto data = small::labelled(count);
    data.length.assign(data.completion.size(), 2.0F);
    return data;
  } else if constexpr (L::arity == 2) {
    auto data = small::with_lengths(small::pairs(count));
    for (std::size_t i = 0; i < count; ++i) {
      data.chosen_from_reference.push_back(static_cast<float>(i % 2));
    }
    return data;
  } else {
    return small::lists(count);
  }
}

/// A run of this process.
template <class P, class L>
auto run_with(L const& loss, choice_data const& data, train_options const& how, auto const& on) {
  return small::course_of(small::policy<P>(), loss, data, how, on);
}

template <class P, class L>
std::vector<small::course<typename P::value_type>> run_on(std::size_t count, L const& loss,
                                                          choice_data const& data,
                                                          train_options const& how) {
  std::vector<small::course<typename P::value_type>> out(count);
  thread_processes::run(
      count, [&](process const& mine) { out[mine.rank()] = run_with<P>(loss, data, how, mine); });
  return out;
}

bool near(double a, double b, double tolerance) {
  return (std::isnan(a) && std::isnan(b)) || std::fabs(a - b) <= tolerance;
}

/// Parameters and margins are of the order of 1, so tolerances are relative to that: the order of sums differs, over a
/// few dozen terms in eight steps.
template <class P, class L>
void check_processes(L const& loss, choice_data const& data, train_options const& how = options) {
  using T = typename P::value_type;
  double const tolerance = std::is_same_v<T, float> ? 1e-6 : 1e-12;
  auto const expected = run_with<P>(loss, data, how, single_process{});
  REQUIRE(expected.parameters !=
          run_with<P>(loss, data, {.steps = 1, .rate = 1e-30}, single_process{}).parameters);
  for (std::size_t const count : {1U, 2U, 3U, 4U}) {
    auto const all = run_on<P>(count, loss, data, how);
    auto const again = run_on<P>(count, loss, data, how);
    for (std::size_t rank = 0; rank != count; ++rank) {
      CAPTURE(count, rank);
      CHECK(all[rank].parameters == all[0].parameters);
      CHECK(all[rank].parameters == again[rank].parameters);
      double worst = 0;
      for (std::size_t i = 0; i != expected.parameters.size(); ++i) {
        worst = std::fmax(worst, std::fabs(static_cast<double>(all[rank].parameters[i]) -
                                           static_cast<double>(expected.parameters[i])));
      }
      CHECK(worst <= tolerance);
      REQUIRE(all[rank].reports.size() == expected.reports.size());
      for (std::size_t step = 0; step != expected.reports.size(); ++step) {
        auto const& mine = all[rank].reports[step];
        auto const& one = expected.reports[step];
        double const of_means = std::is_same_v<T, float> ? 1e-5 : 1e-11;
        CHECK(near(mine.loss, one.loss, of_means));
        CHECK(near(mine.gradient_norm, one.gradient_norm, of_means));
        CHECK(near(mine.reward_margin, one.reward_margin, of_means));
        CHECK(near(mine.accuracy, one.accuracy, 1e-15));
        CHECK(near(mine.log_prob_chosen, one.log_prob_chosen, of_means));
        CHECK(near(mine.displaced_share, one.displaced_share, 1e-15));
      }
    }
  }
}

}  // namespace

TEMPLATE_TEST_CASE("processes: every kind of loss trains to the parameters of one process",
                   "[train][processes]", dpo, simpo, kto_pair, bco_pair, beta_dpo<>, aot,
                   aot_unpaired, xpo, kto, bco, nll_per_batch_token, plackett_luce) {
  auto const data = data_for<TestType>();
  check_processes<tabular<double>>(TestType{}, data);
  check_processes<tabular<float>>(TestType{}, data);
}

TEST_CASE("processes: sums of losses, and policies of several tensors", "[train][processes]") {
  auto const pairs = data_for<dpo>();
  check_processes<tabular<double>>(0.5 * kto_pair{} + 0.25 * aot{}, pairs);
  check_processes<matrix_factorization<float>>(dpo{}, pairs);
  check_processes<log_linear<double>>(dpo{}, pairs);
}

TEST_CASE("processes: a process without a row of the batch takes part", "[train][processes]") {
  // Batches of 3 and then 2 rows for up to four processes.
  train_options how = options;
  how.batch_size = 3;
  check_processes<tabular<double>>(dpo{}, data_for<dpo>(8), how);
  check_processes<tabular<double>>(kto_pair{}, data_for<dpo>(8), how);
  check_processes<tabular<double>>(aot{}, data_for<dpo>(8), how);
  check_processes<tabular<double>>(kto{}, data_for<kto>(8), how);
  check_processes<tabular<double>>(bco{}, data_for<bco>(8), how);
  check_processes<tabular<double>>(beta_dpo<>{}, data_for<dpo>(8), how);
  check_processes<tabular<double>>(plackett_luce{}, data_for<plackett_luce>(8), how);
}

TEST_CASE("processes: micro-batches change no bit", "[train][processes]") {
  auto pieces = options;
  pieces.micro_batch_size = 2;
  auto const data = data_for<kto_pair>();
  auto const whole = run_on<tabular<float>>(3, kto_pair{}, data, options);
  auto const cut = run_on<tabular<float>>(3, kto_pair{}, data, pieces);
  CHECK(whole[1].parameters == cut[1].parameters);
}

TEST_CASE("processes: one that throws ends all of them with its message", "[train][processes]") {
  auto const data = data_for<dpo>();
  // A row with a number that is not finite lies with one of the processes; the others name it.
  auto bad = small::policy<tabular<double>>();
  bad.parameters()[0].value[data.completion[0]] = std::nan("");
  std::vector<std::string> messages(3);
  std::vector<std::uint64_t> steps(3);
  std::vector<std::vector<double>> before(3), after(3);
  thread_processes::run(3, [&](process const& mine) {
    auto policy = bad;
    auto start = small::policy<tabular<double>>();
    auto reference = frozen(start);
    trainer run(policy, dpo{}, reference, data, {.batch_size = 3}, {}, mine);
    messages[mine.rank()] = small::message_of([&] {
      while (true) {
        before[mine.rank()] = small::state_of(policy);
        run.step();
      }
    });
    after[mine.rank()] = small::state_of(policy);
    steps[mine.rank()] = run.steps_done();
  });
  std::size_t failed = 0;
  std::size_t with_own_row = 0;
  for (std::size_t rank = 0; rank != 3; ++rank) {
    if (messages[rank].find("trainer: at step ") == 0) {
      failed = rank;
      ++with_own_row;
    }
  }
  REQUIRE(with_own_row >= 1);
  for (std::size_t rank = 0; rank != 3; ++rank) {
    CAPTURE(rank, messages[rank]);
    CHECK(messages[rank].find(" is not finite") != std::string::npos);
    if (with_own_row == 1 && rank != failed) {
      CHECK(messages[rank] ==
            "trainer: process " + std::to_string(failed) + ": " + messages[failed]);
    }
    CHECK(steps[rank] == steps[0]);
    CHECK(
        std::equal(before[rank].begin(), before[rank].end(), after[rank].begin(),
                   [](double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }));
  }
}

TEST_CASE("processes: what is called between steps ends or interrupts all", "[train][processes]") {
  auto const data = data_for<dpo>();
  auto const path = (std::filesystem::temp_directory_path() / "prefer_between.ckpt").string();
  std::vector<std::string> messages(3);
  std::vector<run_outcome> outcomes(3);
  std::vector<double> best(3);
  std::vector<std::uint64_t> steps(3);
  auto const run = [&](auto const& on_step, evaluation_plan const& plan, auto const& evaluate) {
    thread_processes::run(3, [&](process const& mine) {
      std::size_t const rank = mine.rank();
      auto policy = small::policy<tabular<double>>();
      auto reference = frozen(policy);
      trainer training(policy, dpo{}, reference, data, options, {}, mine);
      messages[rank] = small::message_of([&] {
        outcomes[rank] = training.run(
            [&](step_report const& report) { return on_step(rank, report, training); }, plan,
            [&](tabular<double>&) { return evaluate(rank, training.steps_done()); });
      });
      best[rank] = training.best_evaluation();
      steps[rank] = training.steps_done();
    });
  };
  auto const nothing_to_evaluate = [](std::size_t, std::uint64_t) { return 0.0; };

  // One throws while the others save, which all of them would have to do.
  run(
      [&](std::size_t rank, step_report const& report, auto const& training) {
        if (report.step == 2 && rank == 1) throw std::runtime_error("the power went");
        training.save(path);
        return true;
      },
      {}, nothing_to_evaluate);
  CHECK(messages[1] == "the power went");
  CHECK(messages[0] == "trainer: process 1: the power went");
  CHECK(messages[2] == messages[0]);

  // All save, and the first cannot.
  run(
      [&](std::size_t, step_report const&, auto const& training) {
        training.save("/nowhere/at/all");
        return true;
      },
      {}, nothing_to_evaluate);
  CHECK(messages[0].find("/nowhere/at/all") != std::string::npos);
  CHECK(messages[1] == "trainer: process 0: " + messages[0]);

  // One has had enough.
  run([](std::size_t rank, step_report const& report,
         auto const&) { return rank != 2 || report.step != 3; },
      {}, nothing_to_evaluate);
  CHECK(messages == std::vector<std::string>(3));
  CHECK(outcomes == std::vector<run_outcome>(3, run_outcome::interrupted));
  CHECK(steps == std::vector<std::uint64_t>(3, 3));

  // Each finds another number: those of the first are 1, 2, 0, 0, and the run stops after two without improvement.
  run([](std::size_t, step_report const&, auto const&) { return true; },
      {.every = 1, .patience = 2},
      [](std::size_t rank, std::uint64_t step) {
        return static_cast<double>(step < 3 ? step : 0) + static_cast<double>(rank * step);
      });
  CHECK(outcomes == std::vector<run_outcome>(3, run_outcome::stopped_early));
  CHECK(best == std::vector<double>(3, 2.0));
  CHECK(steps == std::vector<std::uint64_t>(3, 4));
  std::filesystem::remove(path);
}

TEST_CASE("processes: those that begin differently are refused, each with the reason",
          "[train][processes]") {
  auto const data = data_for<dpo>();
  auto const other_data = data_for<dpo>(rows - 1);
  auto const messages = [&](auto const& make) {
    std::vector<std::string> out(3);
    thread_processes::run(
        3, [&](process const& mine) { out[mine.rank()] = small::message_of([&] { make(mine); }); });
    return out;
  };
  auto const with = [&](process const& mine, choice_data const& examples, train_options const& how,
                        double first) {
    auto policy = small::policy<tabular<double>>();
    policy.parameters()[0].value[0] = first;
    auto start = small::policy<tabular<double>>();
    auto reference = frozen(start);
    trainer(policy, dpo{}, reference, examples, how, {}, mine);
  };
  CHECK(messages([&](process const& mine) { with(mine, data, {}, 0.25); }) ==
        std::vector<std::string>(3));
  CHECK(messages([&](process const& mine) {
          with(mine, mine.rank() == 1 ? other_data : data, {}, 0.25);
        }) == std::vector<std::string>(3, "trainer: process 1 has other examples than process 0"));
  CHECK(messages([&](process const& mine) {
          with(mine, data, {.seed = 1 + mine.rank() / 2}, 0.25);
        }) == std::vector<std::string>(3,
                                       "trainer: process 2 has other options, loss or "
                                       "names of parameters than process 0"));
  CHECK(
      messages([&](process const& mine) { with(mine, data, {}, mine.rank() == 2 ? 0.5 : 0.25); }) ==
      std::vector<std::string>(3,
                               "trainer: process 2 has other values of parameters than process 0"));
  // What one refuses by itself, all refuse.
  auto const refused = messages([&](process const& mine) {
    with(mine, data, {.max_gradient_norm = mine.rank() == 1 ? 0.0 : 1.0}, 0.25);
  });
  CHECK(refused[1] == "trainer: max_gradient_norm must be greater than zero");
  CHECK(refused[0] == "trainer: process 1: " + refused[1]);
  CHECK(refused[2] == refused[0]);
}

TEST_CASE("processes: a checkpoint of some is continued by as many to the same bits, and by others",
          "[train][processes]") {
  auto const path = (std::filesystem::temp_directory_path() / "prefer_processes.ckpt").string();
  auto const data = data_for<bco_pair>();
  // The first process alone knows where the checkpoint is: others are handed a path that does not exist.
  auto const place = [&](process const& mine) {
    return mine.rank() == 0 ? path : std::string("/nowhere/at/all");
  };
  auto const run = [&](std::size_t count, std::uint64_t save_at, bool resumes) {
    std::vector<std::vector<double>> out(count);
    thread_processes::run(count, [&](process const& mine) {
      auto policy = small::policy<tabular<double>>();
      moving_average reference(policy, ema{.rate = 0.1});
      trainer training(policy, bco_pair{}, reference, data, options, {}, mine);
      if (resumes) training.resume(place(mine));
      while (!training.done()) {
        if (training.steps_done() == save_at && !resumes) {
          training.save(place(mine));
          if (save_at != 0) break;
        }
        training.step();
      }
      out[mine.rank()] = small::state_of(policy);
    });
    return out;
  };
  auto const whole = run(3, 99, false);
  run(3, 3, false);
  CHECK(run(3, 0, true) == whole);
  for (std::size_t const count : {1U, 2U, 4U}) {
    auto const other = run(count, 0, true);
    for (std::size_t i = 0; i != whole[0].size(); ++i) {
      CHECK(std::fabs(other[0][i] - whole[0][i]) < 1e-12);
    }
    CHECK(other.back() == other.front());
  }
  std::filesystem::remove(path);
}

TEST_CASE("processes: where the first cannot write or read, all say so", "[train][processes]") {
  auto const data = data_for<dpo>();
  std::vector<std::string> saving(2), reading(2);
  thread_processes::run(2, [&](process const& mine) {
    auto policy = small::policy<tabular<double>>();
    auto reference = frozen(policy);
    trainer run(policy, dpo{}, reference, data, options, {}, mine);
    saving[mine.rank()] = small::message_of([&] { run.save("/nowhere/at/all"); });
    reading[mine.rank()] = small::message_of([&] { run.resume("/nowhere/at/all"); });
  });
  for (auto const& messages : {saving, reading}) {
    CHECK(messages[0].find("/nowhere/at/all") != std::string::npos);
    CHECK(messages[1] == "trainer: process 0: " + messages[0]);
  }
}

TEST_CASE("processes: each writes its part of the completions that one would write",
          "[train][processes][online]") {
  auto const run = [](auto const& on) {
    token_table table;
    bigram<double> policy(4, table);
    auto reference = frozen(policy);
    std::vector<std::uint32_t> const prompts = {0, 1, 2, 3, 3, 2, 1};
    sampled source(policy, table, prompts,
                   best_and_worst{[](std::uint32_t x, std::span<std::uint32_t const> y) {
                     return static_cast<double>(y[0] * 3 % 4) + 0.5 * (y.back() == x ? 1 : 0);
                   }},
                   {.prompts_per_step = 7, .completions = 3, .sampling = {.max_tokens = 3}});
    trainer training(policy, dpo{}, reference, source,
                     {.steps = 6,
                      .rate = 3 * small::gradient_descent_scale,
                      .optimizer = small::gradient_descent},
                     {}, on);
    training.run();
    return small::state_of(policy);
  };
  auto const expected = run(single_process{});
  for (std::size_t const count : {2U, 3U, 4U}) {
    std::vector<std::vector<double>> all(count);
    thread_processes::run(count, [&](process const& mine) { all[mine.rank()] = run(mine); });
    for (std::size_t i = 0; i != expected.size(); ++i) {
      CHECK(std::fabs(all[0][i] - expected[i]) < 1e-12);
    }
    for (auto const& one : all) CHECK(one == all[0]);
  }
}
