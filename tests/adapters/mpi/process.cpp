// SPDX-License-Identifier: MIT
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>

#include <prefer/adapters/mpi.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/model/tabular.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/train/trainer.hpp>

#include "adapters/engine_facts.hpp"
#include "train/course.hpp"

// What mpi.test.cpp runs under mpirun: `process <what> [file]`. It exits with success if what was to be shown is so.

namespace {

using namespace prefer;

constexpr train_options options = small::for_processes;

mpi::communicator by_engine() {
  return mpi::communicator(MPI_COMM_WORLD, {.order = sum_order::by_engine});
}

/// Trains with checkpoints after every step; `between(step)` is called after each of them.
void train_with_checkpoints(mpi::communicator const& processes, std::string const& path,
                            auto const& between) {
  auto const data = small::pairs(27);
  auto policy = small::policy<tabular<double>>();
  auto reference = frozen(small::policy<tabular<double>>());
  trainer training(policy, dpo{}, reference, data, options, {}, processes);
  while (!training.done()) {
    training.step();
    training.save(path);
    between(training.steps_done());
  }
}

/// The checkpoint at `path` is that of a step from 2 to 3, and whole.
void whole_checkpoint(mpi::communicator const&, std::string const& path) {
  auto const data = small::pairs(27);
  auto policy = small::policy<tabular<double>>();
  auto reference = frozen(small::policy<tabular<double>>());
  trainer training(policy, dpo{}, reference, data, options);
  training.resume(path);
  test::show(training.steps_done() == 2 || training.steps_done() == 3,
             "a checkpoint before the last step");
}

void killed(mpi::communicator const& processes, std::string const& path) {
  train_with_checkpoints(processes, path, [&](std::uint64_t step) {
    if (step == 3 && processes.rank() == 1) std::raise(SIGKILL);
  });
}

void hangs(mpi::communicator const&, std::string const& path) {
  mpi::communicator const impatient(MPI_COMM_WORLD, {.patience = std::chrono::milliseconds(500)});
  train_with_checkpoints(impatient, path, [&](std::uint64_t step) {
    if (step == 3 && impatient.rank() == 1) std::this_thread::sleep_for(std::chrono::minutes(5));
  });
}

void throws(mpi::communicator const& processes, std::string const& path) {
  train_with_checkpoints(processes, path, [&](std::uint64_t step) {
    if (step == 3 && processes.rank() == 1) throw std::runtime_error("the power went");
  });
}

}  // namespace

int main(int argc, char** argv) {
  std::map<std::string, std::function<void(mpi::communicator const&, std::string const&)>> const
      parts = {{"communicate", [](auto const& processes,
                                  auto const&) { test::show_exchanges(processes, by_engine()); }},
               {"train", [](auto const& processes,
                            auto const&) { test::show_training(processes, by_engine()); }},
               {"first_half", test::first_half<mpi::communicator>},
               {"second_half", test::second_half<mpi::communicator>},
               {"whole_checkpoint", whole_checkpoint},
               {"killed", killed},
               {"hangs", hangs},
               {"throws", throws}};
  auto const part = parts.find(argc > 1 ? argv[1] : "");
  if (part == parts.end()) return EXIT_FAILURE;
  return mpi::run([&](mpi::communicator const& processes) {
    part->second(processes, argc > 2 ? argv[2] : "");
    if (processes.rank() == 0) std::puts("so it is");
  });
}
