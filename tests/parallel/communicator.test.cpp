// SPDX-License-Identifier: MIT
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include <catch2/catch.hpp>

#include <prefer/batch/columns.hpp>
#include <prefer/batch/gather.hpp>
#include <prefer/batch/sum_and_count.hpp>
#include <prefer/loss/kto.hpp>
#include <prefer/loss/loss.hpp>
#include <prefer/parallel/communicator.hpp>
#include <prefer/parallel/thread_processes.hpp>
#include <support/communicator_archetypes.hpp>

#include "support/message_of.hpp"

namespace {

using namespace prefer;
using processes = thread_processes;

template <test::communicator_lacks L>
using without = test::communicator_archetype<L>;
using lacks = test::communicator_lacks;

using prefer::test::message_of;

TEST_CASE("Communicator: each missing member makes the concept false", "[parallel][communicator]") {
  STATIC_REQUIRE(Communicator<without<lacks::nothing>>);
  STATIC_REQUIRE_FALSE(Communicator<without<lacks::rank>>);
  STATIC_REQUIRE_FALSE(Communicator<without<lacks::size>>);
  STATIC_REQUIRE_FALSE(Communicator<without<lacks::sum_of_double>>);
  STATIC_REQUIRE_FALSE(Communicator<without<lacks::sum_of_float>>);
  STATIC_REQUIRE_FALSE(Communicator<without<lacks::broadcast>>);
  STATIC_REQUIRE_FALSE(Communicator<without<lacks::all_gather>>);
  STATIC_REQUIRE_FALSE(Communicator<int>);
  STATIC_REQUIRE(Communicator<single_process>);
  STATIC_REQUIRE(Communicator<processes::process>);
  STATIC_REQUIRE(Communicator<watched_processes<without<lacks::nothing>>>);
}

TEST_CASE("ShareCommunicator: each missing member makes the concept false",
          "[parallel][communicator]") {
  using shares = test::share_communicator_lacks;
  STATIC_REQUIRE(ShareCommunicator<test::share_communicator_archetype<>>);
  STATIC_REQUIRE_FALSE(
      ShareCommunicator<test::share_communicator_archetype<shares::sum_of_double>>);
  STATIC_REQUIRE_FALSE(ShareCommunicator<test::share_communicator_archetype<shares::sum_of_float>>);
  STATIC_REQUIRE_FALSE(
      ShareCommunicator<test::share_communicator_archetype<shares::gather_of_double>>);
  STATIC_REQUIRE_FALSE(
      ShareCommunicator<test::share_communicator_archetype<shares::gather_of_float>>);
  STATIC_REQUIRE(ShareCommunicator<processes::process>);
  // What watches them has what they have, and no more.
  STATIC_REQUIRE(ShareCommunicator<watched_processes<test::share_communicator_archetype<>>>);
  STATIC_REQUIRE_FALSE(ShareCommunicator<watched_processes<without<lacks::nothing>>>);
}

TEST_CASE("Communicator: what takes one takes the archetype", "[parallel][communicator]") {
  without<lacks::nothing> const one;
  CHECK(over_processes(sum_and_count{6.0, 4.0}, one).mean() == 1.5);
  std::array<float, 2> values = {1, 2};
  broadcast(std::span(values), 0, one);
  std::vector<double> const rows = {-1.0, -2.0};
  pair_columns const batch{.policy = {rows, rows}, .reference = {rows, rows}};
  CHECK(gather_rows(batch, one).count() == 2);
  nothing memory;
  CHECK_NOTHROW(prepare(kto_pair{}, batch, memory, one));
  collectively(one, "test", [&](auto const& all) { CHECK(all.all_gather(rows) == rows); });
}

TEST_CASE("single_process: it is the first of one, and what it gives is all there is",
          "[parallel][communicator]") {
  single_process const one;
  STATIC_REQUIRE(single_process::rank() == 0);
  STATIC_REQUIRE(single_process::size() == 1);
  std::vector<double> values = {1.5, -2.0};
  std::vector<float> floats = {0.5F};
  one.all_sum(values);
  one.all_sum(floats);
  broadcast(std::span(values), 0, one);
  CHECK(values == std::vector<double>{1.5, -2.0});
  CHECK(floats == std::vector<float>{0.5F});
  CHECK(one.all_gather(values) == values);
  CHECK(one.all_gather({}).empty());
}

TEST_CASE("thread_processes: each gets the sums, the bytes and the numbers of all",
          "[parallel][communicator]") {
  std::vector<int> ran(4);
  processes::run(4, [&](auto const& process) {
    auto const rank = static_cast<double>(process.rank());
    std::vector<double> sums = {rank, 1.0};
    process.all_sum(sums);
    bool right = sums == std::vector<double>{6.0, 4.0};  // 0 + 1 + 2 + 3
    std::vector<float> floats = {static_cast<float>(rank) / 2};
    process.all_sum(floats);
    right = right && floats == std::vector<float>{3.0F};
    std::vector<std::uint32_t> bytes = {static_cast<std::uint32_t>(process.rank()) + 7};
    broadcast(std::span(bytes), 2, process);
    right = right && bytes == std::vector<std::uint32_t>{9};
    // As many numbers as the rank says, so none from the first.
    std::vector<double> const mine(process.rank(), rank);
    right = right && process.all_gather(mine) == std::vector<double>{1, 2, 2, 3, 3, 3};
    ran[process.rank()] = right ? 1 : 2;
  });
  CHECK(ran == std::vector<int>(4, 1));
}

TEST_CASE("thread_processes: sums are taken in order of rank, the same bits on each",
          "[parallel][communicator]") {
  // (1 + 1e16) - 1e16 is 0 in double, and 1 + (1e16 - 1e16) would be 1.
  double const given[] = {1.0, 1e16, -1e16};
  std::vector<double> sums(3);
  processes::run(3, [&](auto const& process) {
    std::array<double, 1> one = {given[process.rank()]};
    process.all_sum(one);
    sums[process.rank()] = one[0];
  });
  CHECK(sums == std::vector<double>(3, 0.0));
}

TEST_CASE("thread_processes: shares are summed where they belong, and given to all",
          "[parallel][communicator]") {
  std::vector<std::vector<float>> summed(3), gathered(3);
  std::vector<std::size_t> const counts = {2, 0, 3};
  processes::run(3, [&](auto const& process) {
    auto const rank = static_cast<float>(process.rank());
    std::vector<float> values = {rank, 2 * rank, 10, 20 + rank, 30};
    process.sum_shares(std::span<float>(values), counts);
    summed[process.rank()] = values;
    process.gather_shares(std::span<float>(values), counts);
    gathered[process.rank()] = values;
  });
  CHECK((summed[0][0] == 3 && summed[0][1] == 6));  // 0 + 1 + 2, and twice that
  CHECK((summed[2][2] == 30 && summed[2][3] == 63 && summed[2][4] == 90));
  CHECK(gathered == std::vector<std::vector<float>>(3, {3, 6, 30, 63, 90}));
  CHECK_THROWS_WITH(processes::run(2,
                                   [&](auto const& process) {
                                     std::vector<float> values(4);
                                     std::vector<std::size_t> const wrong = {2, 3};
                                     process.gather_shares(std::span<float>(values), wrong);
                                   }),
                    "thread_processes: values of all shares has 4 elements, expected 5");
}

TEST_CASE("thread_processes: who ends or gives another number of elements leaves nobody waiting",
          "[parallel][communicator]") {
  std::vector<std::string> messages(3);
  auto const caught = [&](auto const& process, auto const& action) {
    messages[process.rank()] = message_of(action);
  };
  auto const sum = [](auto const& process, std::size_t count) {
    std::vector<double> values(count);
    process.all_sum(values);
  };
  // The first error in time is the one that leaves run.
  CHECK_THROWS_WITH(processes::run(3,
                                   [&](auto const& process) {
                                     if (process.rank() == 1) throw std::runtime_error("no disk");
                                     caught(process, [&] { sum(process, 1); });
                                   }),
                    "no disk");
  CHECK(messages[0] == "thread_processes: process 1: no disk");
  CHECK(messages[2] == messages[0]);

  processes::run(2, [&](auto const& process) {
    if (process.rank() == 0) caught(process, [&] { sum(process, 1); });
  });
  CHECK(messages[0] == "thread_processes: process 1: has returned");

  processes::run(
      2, [&](auto const& process) { caught(process, [&] { sum(process, process.rank() + 1); }); });
  CHECK(messages[0] ==
        "thread_processes::all_sum: process 1: gives 16 bytes where another gives 8");
  CHECK_THROWS_WITH(processes::run(0, [](auto const&) {}), Catch::Contains("at least 1"));
}

TEST_CASE("collectively: all return, or all throw with the message of the one that failed",
          "[parallel][communicator]") {
  // Where the one that fails is: before, between and after the collective calls of the others.
  for (std::size_t fails_at = 0; fails_at < 3; ++fails_at) {
    for (std::size_t failing = 0; failing < 3; ++failing) {
      CAPTURE(fails_at, failing);
      std::vector<std::string> messages(3);
      std::vector<double> sums(3);
      processes::run(3, [&](auto const& process) {
        messages[process.rank()] = message_of([&] {
          collectively(process, "step", [&](auto const& all) {
            for (std::size_t call = 0; call != 3; ++call) {
              if (all.rank() == failing && call == fails_at) {
                throw precondition_error("row 7 is not finite");
              }
              std::array<double, 1> one = {1.0};
              if (call != 2) all.all_sum(one);
              sums[process.rank()] += one[0];
            }
          });
        });
        // They are in step afterwards: the next collective call is theirs again.
        std::array<double, 1> after = {1.0};
        process.all_sum(after);
        sums[process.rank()] = after[0];
      });
      for (std::size_t rank = 0; rank != 3; ++rank) {
        CHECK(messages[rank] == (rank == failing ? "row 7 is not finite"
                                                 : "step: process " + std::to_string(failing) +
                                                       ": row 7 is not finite"));
      }
      CHECK(sums == std::vector<double>(3, 3.0));
    }
  }
}

TEST_CASE("collectively: of several that fail each keeps its own error, the rest get the first's",
          "[parallel][communicator]") {
  std::vector<std::string> messages(4);
  processes::run(4, [&](auto const& process) {
    messages[process.rank()] = message_of([&] {
      collectively(process, "step", [&](auto const& all) {
        if (all.rank() % 2 == 1) throw std::runtime_error("of " + std::to_string(all.rank()));
        all.agree();
      });
    });
  });
  CHECK(messages ==
        std::vector<std::string>{"step: process 1: of 1", "of 1", "step: process 1: of 1", "of 3"});
}

TEST_CASE("collectively: with one process it is the call alone", "[parallel][communicator]") {
  collectively(single_process{}, "step", [](auto const& all) {
    STATIC_REQUIRE(std::is_same_v<decltype(all), single_process const&>);
  });
}

TEST_CASE("over_processes: sums and counts are added up before the mean is taken",
          "[parallel][communicator]") {
  sum_and_count const parts[] = {{6.0, 1.0}, {0.0, 0.0}, {2.0, 3.0}};
  std::vector<double> means(3);
  processes::run(3, [&](auto const& process) {
    means[process.rank()] = over_processes(parts[process.rank()], process).mean();
  });
  CHECK(means == std::vector<double>(3, 2.0));  // 8 / 4, and not the mean of 6, 0 and 2/3
}

// Its statistic is how many rows the batch has.
struct counts_rows {
  static constexpr std::size_t arity = 2;
  struct state {
    double rows = 0.0;
  };
  static constexpr state prepare(auto const& batch, nothing&) { return {batch.count()}; }
  constexpr auto operator()(auto const& pair, state const& batch) const {
    return batch.rows * pair.chosen.log_prob;
  }
};

TEST_CASE("processes: a loss that knows nothing of processes has the statistic of the whole batch",
          "[parallel][communicator]") {
  std::vector<double> const numbers = {-1.0, -2.0, -3.0};
  std::vector<double> rows(3);
  processes::run(3, [&](auto const& process) {
    auto const mine = std::span(numbers).first(process.rank() + 1);
    nothing memory;
    rows[process.rank()] =
        prepare(counts_rows{}, pair_columns{.policy = {mine, mine}}, memory, process).rows;
  });
  CHECK(rows == std::vector<double>(3, 6.0));  // 1 + 2 + 3
}

}  // namespace
