// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <type_traits>
#include <vector>

#include <prefer/batch/columns.hpp>
#include <prefer/loss/loss.hpp>
#include <prefer/parallel/communicator.hpp>

#include "support/processes.hpp"

namespace {

using namespace prefer;
using test::thread_processes;

struct without_gather {
  static std::size_t rank() { return 0; }
  static std::size_t size() { return 1; }
  static void all_sum(std::span<double>) {}
};

TEST_CASE("Communicator: asks for rank, size, sums and gathering", "[parallel][communicator]") {
  STATIC_REQUIRE(Communicator<single_process>);
  STATIC_REQUIRE(Communicator<thread_processes::process>);
  STATIC_REQUIRE(!Communicator<without_gather>);
  STATIC_REQUIRE(!Communicator<int>);
}

TEST_CASE("single_process: it is the first of one, and what it gives is all there is",
          "[parallel][communicator]") {
  single_process const one;
  STATIC_REQUIRE(single_process::rank() == 0);
  STATIC_REQUIRE(single_process::size() == 1);
  std::vector<double> values = {1.5, -2.0};
  one.all_sum(values);
  CHECK(values == std::vector<double>{1.5, -2.0});
  CHECK(one.all_gather(values) == values);
  CHECK(one.all_gather({}).empty());
}

TEST_CASE("over_processes: sums and counts are added up before the mean is taken",
          "[parallel][communicator]") {
  sum_and_count const parts[] = {{6.0, 1.0}, {0.0, 0.0}, {2.0, 3.0}};
  std::vector<double> means(3);
  thread_processes::run(3, [&](auto const& process) {
    means[process.rank()] = over_processes(parts[process.rank()], process).mean();
  });
  CHECK(means == std::vector<double>(3, 2.0));  // 8 / 4, and not the mean of 6, 0 and 2/3
}

// Knows of one process only.
struct of_one_process {
  static constexpr std::size_t arity = 2;
  struct state {
    double rows = 0.0;
  };
  static state prepare(pair_columns const& batch, nothing&) {
    return {static_cast<double>(batch.size())};
  }
  constexpr auto operator()(auto const& pair, state const& batch) const {
    return batch.rows * pair.chosen.log_prob;
  }
};

struct first_of_two : single_process {
  static std::size_t size() { return 2; }
};

TEST_CASE("processes: a statistic that knows of one process is refused with several",
          "[parallel][communicator]") {
  nothing memory;
  std::vector<double> const two_rows = {-1.0, -2.0};
  pair_columns const batch{.policy = {two_rows, two_rows}};
  CHECK(prepare(of_one_process{}, batch, memory).rows == 2.0);
  CHECK_THROWS_WITH(prepare(of_one_process{}, batch, memory, first_of_two{}),
                    Catch::Contains("give its prepare a third argument, the communicator"));
}

}  // namespace
