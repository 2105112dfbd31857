// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <prefer/model/tabular.hpp>
#include <prefer/parallel/thread_processes.hpp>
#include <prefer/prefer.hpp>
#include <span>
#include <string>
#include <thread>
#include <vector>

namespace several_processes {

/// Stands for the handle of an engine such as MPI.
using engine_handle = prefer::thread_processes::process const*;

// [communicator]
struct my_processes {
  engine_handle engine;

  std::size_t rank() const { return engine->rank(); }
  std::size_t size() const { return engine->size(); }
  void all_sum(std::span<double> values) const { engine->all_sum(values); }
  void all_sum(std::span<float> values) const { engine->all_sum(values); }
  void broadcast(std::span<std::byte> bytes, std::size_t from) const {
    engine->broadcast(bytes, from);
  }
  std::vector<double> all_gather(std::span<double const> mine) const {
    return engine->all_gather(mine);
  }
};
static_assert(prefer::Communicator<my_processes>);
// [/communicator]

struct part {
  std::vector<double> policy_chosen, policy_rejected, reference_chosen, reference_rejected;
  prefer::pair_columns columns() const {
    return {.policy = {policy_chosen, policy_rejected},
            .reference = {reference_chosen, reference_rejected}};
  }
};

part rows(std::size_t begin, std::size_t end) {
  part out;
  for (std::size_t i = begin; i < end; ++i) {
    double const x = static_cast<double>(i);
    out.policy_chosen.push_back(-10.0 + 0.5 * x);
    out.policy_rejected.push_back(-7.0 - 0.25 * x * x);
    out.reference_chosen.push_back(-9.0);
    out.reference_rejected.push_back(-8.0 + 0.125 * x);
  }
  return out;
}

// Seven pairs: the first process has three, the second four.
part rows_of(std::size_t rank) { return rank == 0 ? rows(0, 3) : rows(3, 7); }

struct step_result {
  double loss;
  std::vector<double> chosen;
};

step_result step(my_processes const& processes) {
  part const mine = rows_of(processes.rank());
  // [step]
  prefer::pair_columns const batch = mine.columns();  // this process's pairs
  prefer::kto_pair const loss{.beta = 0.1};

  prefer::nothing memory;                                              // kto_pair remembers nothing
  auto const state = prefer::prepare(loss, batch, memory, processes);  // of the whole batch

  std::vector<double> value(batch.size()), chosen(batch.size()), rejected(batch.size());
  prefer::evaluate_into(
      loss, batch, prefer::pair_results{.value = value, .chosen = chosen, .rejected = rejected},
      state, {.reduce = prefer::reduction::none});

  prefer::sum_and_count part_of_mean;
  for (double const each : value) part_of_mean = part_of_mean + prefer::sum_and_count{each, 1.0};
  auto const total = prefer::over_processes(part_of_mean, processes);
  double const mean_loss = total.mean();
  for (double& each : chosen) each /= total.count;  // of the mean over all pairs
  for (double& each : rejected) each /= total.count;
  // [/step]
  return {mean_loss, chosen};
}

step_result ranked_step(my_processes const& processes) {
  part const mine = rows_of(processes.rank());
  prefer::pair_columns const batch = mine.columns();
  // [gather]
  auto const all = prefer::gather_rows(batch, processes);
  auto const result = prefer::evaluate(prefer::aot{.beta = 0.1}, all.columns());  // all pairs
  auto const first = result.coefficient.chosen.begin() + std::ptrdiff_t(all.begin());
  std::vector<double> const chosen(first, first + std::ptrdiff_t(all.count()));  // my own
  // [/gather]
  return {result.loss, chosen};
}

constexpr std::size_t prompts = 6;
constexpr std::size_t completions = 5;

prefer::choice_data preferences() {
  prefer::choice_data data;
  for (std::uint32_t i = 0; i < 70; ++i) {
    data.add_pair(i % prompts, i * i % completions, (i * i + 1 + i % 4) % completions);
  }
  return data;
}

std::vector<double> train(my_processes const& processes, std::string const& path) {
  prefer::choice_data const data = preferences();
  // [train]
  prefer::tabular<double> policy(prompts, completions);  // equal on every process
  auto reference = prefer::frozen(policy);
  prefer::trainer training(policy, prefer::kto_pair{.beta = 0.1}, reference, data,
                           {.batch_size = 32, .epochs = 2, .rate = 0.05}, {}, processes);
  training.run([&](prefer::step_report const& report) {
    if (processes.rank() == 0) std::printf("step %d: %g\n", int(report.step), report.loss);
  });
  training.save(path);  // the first process writes; the others wait for it
  // [/train]
  auto const values = policy.parameters()[0].value;
  return {values.begin(), values.end()};
}

}  // namespace several_processes

using namespace several_processes;

namespace {

/// Runs a step on two processes and compares it with one process that has all pairs.
template <class L, class Step>
void check_against_one(L const& loss, Step const& one_step) {
  part const whole = rows(0, 7);
  auto const expected = prefer::evaluate(loss, whole.columns());
  std::vector<step_result> of_rank(2);
  prefer::thread_processes::run(
      2, [&](auto const& process) { of_rank[process.rank()] = one_step(my_processes{&process}); });
  std::size_t row = 0;
  for (step_result const& one : of_rank) {
    CHECK(one.loss == Approx(expected.loss).epsilon(1e-14));
    for (double const each : one.chosen) {
      CHECK(each == Approx(expected.coefficient.chosen[row++]).epsilon(1e-13));
    }
  }
  CHECK(row == 7);
}

}  // namespace

TEST_CASE("several processes: parts of a batch give what the whole gives", "[docs][processes]") {
  check_against_one(prefer::kto_pair{.beta = 0.1}, &step);
}

TEST_CASE("several processes: ranks come from gathered pairs", "[docs][processes]") {
  check_against_one(prefer::aot{.beta = 0.1}, &ranked_step);
}

TEST_CASE("several processes: each has the parameters of all, and the checkpoint is there",
          "[docs][processes]") {
  auto const path =
      (std::filesystem::temp_directory_path() / "prefer_docs_processes.ckpt").string();
  std::vector<std::vector<double>> of_rank(3);
  prefer::thread_processes::run(3, [&](auto const& process) {
    of_rank[process.rank()] = train(my_processes{&process}, path);
    if (!std::filesystem::exists(path)) of_rank[process.rank()].clear();
  });
  CHECK(of_rank[1] == of_rank[0]);
  CHECK(of_rank[2] == of_rank[0]);
  CHECK(of_rank[0] != std::vector<double>(prompts * completions));
  std::filesystem::remove(path);
}
