// SPDX-License-Identifier: MIT
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>

#include <prefer/adapters/nccl.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/parallel/thread_processes.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/train/trainer.hpp>

#include "adapters/engine_facts.hpp"
#include "support/in_process.hpp"
#include "support/message_of.hpp"

// The NCCL adapter over functions of the host in NCCL's place (twin/): threads stand for processes with a GPU each. NCCL
// itself has never been called.

namespace {

using namespace prefer;
using Catch::Matchers::Contains;
using process = thread_processes::process;
using std::chrono::milliseconds;
using test::message_of;

// Far longer than a call takes on a loaded machine, where nothing is to go wrong.
constexpr auto patient = milliseconds(60'000);

/// Body(nccl communicator) on as many threads, each with a fault of its own to set.
void on_ranks(std::size_t count, nccl::communicator_options const& options, auto const& body) {
  thread_processes::run(count, [&](process const& mine) {
    nccl_twin::current_device = static_cast<int>(mine.rank());
    nccl::communicator const processes(mine, options);
    (void)mine.all_gather({});  // nobody begins before all have
    body(processes);
  });
  // Communicators, streams and memory of the device are given back, whatever has happened.
  CHECK(nccl_twin::allocations == 0);
}

void with_both_orders(std::size_t count, auto const& body) {
  thread_processes::run(count, [&](process const& mine) {
    nccl::communicator const by_rank(mine, {.patience = patient});
    nccl::communicator const by_engine(mine, {.order = sum_order::by_engine, .patience = patient});
    body(by_rank, by_engine);
  });
  CHECK(nccl_twin::allocations == 0);
}

std::string const late =
    "another process did not come within 0.3 s: it hangs, or works longer "
    "than `patience`";

}  // namespace

TEST_CASE("nccl: sums in order of rank, shares, broadcasts and gathers", "[nccl]") {
  for (std::size_t const count : {1U, 2U, 3U, 4U}) {
    with_both_orders(count, [](auto const& by_rank, auto const& by_engine) {
      test::show_exchanges(by_rank, by_engine);
    });
  }
}

TEST_CASE("nccl: training is that of one process, and that of threads to the bit", "[nccl]") {
  for (std::size_t const count : {1U, 2U, 4U}) {
    with_both_orders(count, [](auto const& by_rank, auto const& by_engine) {
      test::show_training(by_rank, by_engine);
    });
  }
}

TEST_CASE("nccl: a checkpoint of two processes is continued by four", "[nccl]") {
  auto const path = (std::filesystem::temp_directory_path() / "prefer_nccl.ckpt").string();
  on_ranks(2, {.patience = patient},
           [&](auto const& processes) { test::first_half(processes, path); });
  on_ranks(4, {.patience = patient},
           [&](auto const& processes) { test::second_half(processes, path); });
  std::filesystem::remove(path);
}

TEST_CASE("nccl: a process that does not come is noticed in time, with rank and call", "[nccl]") {
  std::vector<std::string> first(3), later(3);
  auto const began = std::chrono::steady_clock::now();
  on_ranks(3, {.patience = milliseconds(300)}, [&](auto const& processes) {
    std::size_t const rank = processes.rank();
    if (rank == 2) return std::this_thread::sleep_for(milliseconds(900));
    std::vector<float> values(5000, 1.0F);
    auto const sum = [&] { processes.all_sum(std::span<float>(values)); };
    first[rank] = message_of(sum);
    later[rank] = message_of(sum);
  });
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::minutes(1));
  // Whose patience is over first aborts, which the other is told.
  bool noticed = false;
  for (std::size_t const rank : {0U, 1U}) {
    auto const place = "nccl::communicator: process " + std::to_string(rank) +
                       " of 3: ncclSend and ncclRecv of shares: ";
    CAPTURE(first[rank]);
    noticed = noticed || first[rank] == place + late;
    CHECK((first[rank] == place + late ||
           first[rank] == place +
                              "remote process exited or there was a network error (ncclResult_t "
                              "6)"));
    CHECK_THAT(later[rank], Contains(place + "was aborted before: ncclSend"));
  }
  CHECK(noticed);
}

TEST_CASE("nccl: a process that does not begin is noticed in time", "[nccl]") {
  ncclUniqueId id{};
  REQUIRE(ncclGetUniqueId(&id) == ncclSuccess);
  CHECK(message_of([&] { nccl::communicator(id, 1, 2, {.patience = milliseconds(300)}); }) ==
        "nccl::communicator: process 1 of 2: ncclCommInitRankConfig: " + late);
  CHECK(nccl_twin::allocations == 0);
}

TEST_CASE("nccl: an error of a call, of the communicator or of the device is a sentence",
          "[nccl]") {
  // What process 1 is told of, and what it says; process 0 is told by NCCL that the other has gone.
  auto const check = [](auto const& set, std::string const& sentence) {
    std::vector<std::string> messages(2);
    on_ranks(2, {.patience = patient}, [&](auto const& processes) {
      nccl_twin::fault = {};
      if (processes.rank() == 1) set(nccl_twin::fault);
      messages[processes.rank()] =
          message_of([&] { (void)processes.all_gather(std::vector<double>{1.0}); });
      nccl_twin::fault = {};
    });
    CHECK(messages[1] == "nccl::communicator: process 1 of 2: " + sentence);
    CHECK(messages[0] ==
          "nccl::communicator: process 0 of 2: ncclAllGather: remote process exited or there was a "
          "network error (ncclResult_t 6)");
  };
  check([](auto& fault) { fault.async_error = ncclSystemError; },
        "ncclAllGather: unhandled system error (ncclResult_t 2)");
  check([](auto& fault) { fault.error_of_call = ncclInvalidUsage; },
        "ncclAllGather: invalid usage (ncclResult_t 5)");
  check([](auto& fault) { fault.no_memory = true; },
        "cudaMalloc: out of memory (cudaErrorMemoryAllocation, 2)");
}

TEST_CASE("nccl: an error of the device ends a call", "[nccl]") {
  on_ranks(1, {.patience = patient}, [](auto const& processes) {
    nccl_twin::fault.device_error = cudaErrorLaunchFailure;
    CHECK(message_of([&] { (void)processes.all_gather(std::vector<double>{1.0}); }) ==
          "nccl::communicator: process 0 of 1: ncclAllGather: unspecified launch failure "
          "(cudaErrorLaunchFailure, 719)");
    nccl_twin::fault = {};
  });
}

TEST_CASE("nccl: training that is broken off leaves the last checkpoint whole", "[nccl]") {
  auto const path = (std::filesystem::temp_directory_path() / "prefer_nccl_broken.ckpt").string();
  auto const data = small::pairs(27);
  auto const train = [&](auto const& processes, auto const& between) {
    auto policy = small::policy<tabular<double>>();
    auto reference = frozen(small::policy<tabular<double>>());
    trainer training(policy, dpo{}, reference, data, small::for_processes, {}, processes);
    while (!training.done()) {
      training.step();
      training.save(path);
      if (!between(training.steps_done())) return;
    }
  };
  std::vector<std::string> messages(2);
  on_ranks(2, {.patience = milliseconds(2000)}, [&](auto const& processes) {
    messages[processes.rank()] = message_of([&] {
      train(processes, [&](std::uint64_t step) {
        if (step != 3 || processes.rank() == 0) return true;
        std::this_thread::sleep_for(milliseconds(3000));
        return false;
      });
    });
  });
  CHECK_THAT(messages[0], Contains("process 0 of 2: ") &&
                              Contains("ncclAllGather: another process did not come within 2 s"));
  auto policy = small::policy<tabular<double>>();
  auto reference = frozen(small::policy<tabular<double>>());
  trainer training(policy, dpo{}, reference, data, small::for_processes);
  training.resume(path);
  CHECK(training.steps_done() == 3);
  std::filesystem::remove(path);
}

TEST_CASE("nccl: where abort or a call hangs, the process ends with a message", "[nccl]") {
  auto const end_with = [](auto const& set) {
    return test::in_process([&] {
      thread_processes::run(2, [&](process const& mine) {
        nccl::communicator const processes(
            mine, {.patience = milliseconds(300), .abort_patience = milliseconds(400)});
        if (mine.rank() == 1) {
          // The other's silence is what the first notices; its own watchdog is asleep.
          std::this_thread::sleep_for(std::chrono::minutes(2));
          return;
        }
        set(nccl_twin::fault);
        (void)processes.all_gather(std::vector<double>{1.0});
      });
    });
  };
  std::string const sentence =
      "prefer: process 0 of 2: nccl::communicator: ncclAllGather did not come back within 0.7 s. "
      "This process ends now; the last checkpoint is whole.\n";
  for (auto const& end : {end_with([](auto& fault) { fault.hangs_in_abort = true; }),
                          end_with([](auto& fault) { fault.hangs_in_call = true; })}) {
    CHECK(end.code == EXIT_FAILURE);
    CHECK(end.err == sentence);
  }
}

TEST_CASE("nccl: what is asked for wrongly is refused in a sentence", "[nccl]") {
  ncclUniqueId id{};
  REQUIRE(ncclGetUniqueId(&id) == ncclSuccess);
  CHECK(message_of([&] { nccl::communicator(id, 2, 2); }) ==
        "nccl::communicator: rank must be less than the number of processes");
  CHECK(message_of([&] { nccl::communicator(id, 0, 1, {.patience = milliseconds(0)}); }) ==
        "nccl::communicator: patience and abort_patience must be greater than zero");
  nccl::communicator const processes(id, 0, 1);
  nccl_twin::current_device = 3;
  CHECK(message_of([&] { (void)processes.all_gather(std::vector<double>{1.0}); }) ==
        "nccl::communicator: another device is current than when it was made");
  nccl_twin::current_device = 0;
  nccl_twin::fault.error_of_call = ncclSystemError;
  CHECK(message_of([&] { nccl::communicator{single_process{}}; }) ==
        "nccl::communicator: ncclGetUniqueId: unhandled system error");
  nccl_twin::fault = {};
}
