// SPDX-License-Identifier: MIT
#include <algorithm>
#include <chrono>
#include <string>

#include <catch2/catch.hpp>

#include "examples/workplace.hpp"

// process.cpp under mpirun: as many processes as there are, on one machine.

namespace {

using Catch::Matchers::Contains;

prefer::test::outcome run_program(prefer::test::workplace const& here, int processes,
                                  std::string const& program) {
  return here.run("--oversubscribe -n " + std::to_string(processes) + " " + program, "",
                  "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1");
}

prefer::test::outcome run(prefer::test::workplace const& here, int processes,
                          std::string const& what) {
  return run_program(here, processes, "'" PREFER_MPI_PROCESS "' " + what);
}

void check_shown(prefer::test::workplace const& here, int processes, std::string const& what) {
  auto const result = run(here, processes, what);
  INFO(processes << " processes, " << what << ": " << result.err);
  CHECK(result.code == 0);
  CHECK(result.out == "so it is\n");
}

}  // namespace

TEST_CASE("mpi: sums in order of rank, broadcasts and gathers", "[mpi]") {
  prefer::test::workplace const here("mpi", PREFER_MPIRUN);
  for (int const processes : {1, 2, 3, 4}) check_shown(here, processes, "communicate");
}

TEST_CASE("mpi: training is that of one process, and that of threads to the bit", "[mpi]") {
  prefer::test::workplace const here("mpi", PREFER_MPIRUN);
  for (int const processes : {1, 2, 4}) check_shown(here, processes, "train");
}

TEST_CASE("mpi: a checkpoint of two processes is continued by four", "[mpi]") {
  prefer::test::workplace const here("mpi", PREFER_MPIRUN);
  check_shown(here, 2, "first_half run.ckpt");
  check_shown(here, 4, "second_half run.ckpt");
  check_shown(here, 1, "second_half run.ckpt");
}

TEST_CASE(
    "mpi: a process that is killed, throws or hangs ends all, and the last checkpoint is whole",
    "[mpi]") {
  prefer::test::workplace const here("mpi", PREFER_MPIRUN);
  auto const check_end = [&](std::string const& what, std::string const& sentence) {
    auto const began = std::chrono::steady_clock::now();
    auto const result = run(here, 2, what + " " + what + ".ckpt");
    INFO(what << ": " << result.err);
    CHECK(result.code != 0);
    CHECK(result.out.empty());
    CHECK_THAT(result.err, Contains(sentence));
    // Far from the five minutes that `hangs` would wait, and far from what a loaded machine needs.
    CHECK(std::chrono::steady_clock::now() - began < std::chrono::minutes(2));
    check_shown(here, 1, "whole_checkpoint " + what + ".ckpt");
  };
  check_end("killed", "signal 9 (Killed)");
  check_end("throws", "the power went");
  check_end("hangs",
            "prefer: process 0 of 2: mpi::communicator: MPI_Iallgather: another process did not "
            "come within 0.5 s");
}

#ifdef PREFER_EXAMPLE_EMBED_MPI
TEST_CASE("mpi: embed_mpi prints the same on one process and on two, and continues where it was",
          "[mpi]") {
  prefer::test::workplace const here("mpi", PREFER_MPIRUN);
  auto const lines = [&](int processes, std::string const& arguments) {
    auto const result = run_program(here, processes, "'" PREFER_EXAMPLE_EMBED_MPI "' " + arguments);
    INFO(result.err);
    CHECK(result.code == 0);
    auto const first = result.out.find('\n');
    REQUIRE(first != std::string::npos);
    return result.out.substr(first + 1);
  };
  auto const expected = lines(1, "run.ckpt");
  CHECK(std::count(expected.begin(), expected.end(), '\n') == 5);
  CHECK(lines(2, "") == expected);
  // Saved at step 320 of 320: nothing is left to do.
  CHECK(lines(2, "run.ckpt").empty());
}
#endif
