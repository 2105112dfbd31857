// SPDX-License-Identifier: MIT
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <numeric>
#include <prefer/parallel/thread_pool.hpp>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using prefer::thread_pool;

namespace {

// Where chunks wait for each other; whoever waits too long leaves, so that a test fails and does not hang.
class meeting {
 public:
  void arrive_and_wait(int everybody) {
    ++arrived_;
    auto const patience = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!complete(everybody) && std::chrono::steady_clock::now() < patience) {
      std::this_thread::yield();
    }
    if (!complete(everybody)) given_up_ = true;
  }
  bool complete(int everybody) const { return arrived_ == everybody && !given_up_; }

 private:
  std::atomic<int> arrived_ = 0;
  std::atomic<bool> given_up_ = false;
};

}  // namespace

TEST_CASE("thread_pool: counts the caller as a thread", "[parallel][thread_pool]") {
  thread_pool pool{3};
  CHECK(pool.concurrency() == 3);
  CHECK(pool.executor().concurrency() == 3);
  thread_pool one{1};
  CHECK(one.executor().concurrency() == 1);
  CHECK(prefer::available_threads() >= 1);
  CHECK_THROWS_AS(thread_pool{0}, prefer::precondition_error);
  CHECK_THROWS_AS(thread_pool{1000000}, prefer::precondition_error);
}

TEST_CASE("thread_pool: every chunk runs once and is done when the call returns",
          "[parallel][thread_pool]") {
  for (unsigned const threads : {1U, 2U, 5U}) {
    thread_pool pool{threads};
    for (std::size_t const chunks : {0U, 1U, 2U, 3U, 17U, 1000U}) {
      std::vector<int> runs(chunks);
      pool.executor().for_each_chunk(chunks, [&](std::size_t chunk) { ++runs[chunk]; });
      CHECK(runs == std::vector<int>(chunks, 1));
    }
  }
}

TEST_CASE("thread_pool: chunks that wait for each other meet on two threads",
          "[parallel][thread_pool]") {
  thread_pool pool{2};
  meeting all_here;
  std::vector<std::thread::id> who(2);
  pool.executor().for_each_chunk(2, [&](std::size_t chunk) {
    who[chunk] = std::this_thread::get_id();
    all_here.arrive_and_wait(2);
  });
  CHECK(all_here.complete(2));
  CHECK(who[0] != who[1]);
}

TEST_CASE("thread_pool: the call returns after the slowest worker", "[parallel][thread_pool]") {
  thread_pool pool{2};
  for (int round = 0; round != 5; ++round) {
    meeting all_here;
    std::atomic<bool> worker_done = false;
    auto const caller = std::this_thread::get_id();
    pool.executor().for_each_chunk(2, [&](std::size_t) {
      all_here.arrive_and_wait(2);
      if (std::this_thread::get_id() == caller) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      worker_done = true;
    });
    REQUIRE(worker_done);
  }
}

TEST_CASE("thread_pool: the lowest chunk's exception wins although it comes last",
          "[parallel][thread_pool]") {
  thread_pool pool{2};
  meeting all_here;
  CHECK_THROWS_WITH(
      pool.executor().for_each_chunk(2,
                                     [&](std::size_t chunk) {
                                       all_here.arrive_and_wait(2);
                                       if (chunk == 0)
                                         std::this_thread::sleep_for(std::chrono::milliseconds(10));
                                       throw std::runtime_error(std::to_string(chunk));
                                     }),
      "0");
}

TEST_CASE("thread_pool: the exception of the lowest chunk reaches the caller, every time",
          "[parallel][thread_pool]") {
  thread_pool pool{4};
  for (int round = 0; round != 200; ++round) {
    std::string caught;
    std::vector<int> runs(64);
    try {
      pool.executor().for_each_chunk(64, [&](std::size_t chunk) {
        ++runs[chunk];
        if (chunk >= 20) throw std::runtime_error(std::to_string(chunk));
      });
    } catch (std::runtime_error const& error) {
      caught = error.what();
    }
    REQUIRE(caught == "20");
    REQUIRE(std::accumulate(runs.begin(), runs.begin() + 21, 0) == 21);
  }
  // And nothing of it is left for the next call.
  std::atomic<int> count = 0;
  pool.executor().for_each_chunk(10, [&](std::size_t) { ++count; });
  CHECK(count == 10);
}

TEST_CASE("thread_pool: a call from inside a chunk runs on the thread of that chunk",
          "[parallel][thread_pool]") {
  thread_pool pool{3};
  std::vector<int> runs(8 * 5);
  std::vector<int> strangers(8);
  pool.executor().for_each_chunk(8, [&](std::size_t outer) {
    auto const self = std::this_thread::get_id();
    pool.executor().for_each_chunk(5, [&](std::size_t inner) {
      ++runs[outer * 5 + inner];
      if (std::this_thread::get_id() != self) ++strangers[outer];
    });
  });
  CHECK(runs == std::vector<int>(40, 1));
  CHECK(strangers == std::vector<int>(8, 0));
}

TEST_CASE("thread_pool: several threads can call at once", "[parallel][thread_pool]") {
  thread_pool pool{2};
  std::vector<long> sums(3);
  std::vector<std::thread> callers;
  for (std::size_t caller = 0; caller != sums.size(); ++caller) {
    callers.emplace_back([&, caller] {
      for (int round = 0; round != 300; ++round) {
        std::vector<long> parts(7);
        pool.executor().for_each_chunk(
            7, [&](std::size_t chunk) { parts[chunk] = static_cast<long>(chunk) + round; });
        sums[caller] += std::accumulate(parts.begin(), parts.end(), 0L);
      }
    });
  }
  for (auto& caller : callers) caller.join();
  // Each round adds 0 + ... + 6 and seven times its number: 300 * 21 + 7 * 299 * 300 / 2.
  CHECK(sums == std::vector<long>(3, 6300 + 313950));
}

TEST_CASE("thread_pool: many small jobs, back to back and after pauses",
          "[parallel][thread_pool]") {
  thread_pool pool{4};
  auto const threads = pool.executor();
  std::vector<std::uint64_t> cells(64);
  std::uint64_t expected = 0;
  for (std::uint64_t round = 0; round != 20000; ++round) {
    std::size_t const chunks = 1 + round % cells.size();
    threads.for_each_chunk(chunks, [&](std::size_t chunk) { cells[chunk] += round; });
    expected += round * chunks;
    // Long enough for workers to fall asleep.
    if (round % 500 == 0) std::this_thread::sleep_for(std::chrono::microseconds(300));
  }
  CHECK(std::accumulate(cells.begin(), cells.end(), std::uint64_t{0}) == expected);
}

TEST_CASE("thread_pool: starts and stops, used or not", "[parallel][thread_pool]") {
  for (int round = 0; round != 100; ++round) {
    thread_pool pool{3};
    if (round % 2 == 0) continue;
    std::atomic<int> count = 0;
    pool.executor().for_each_chunk(5, [&](std::size_t) { ++count; });
    REQUIRE(count == 5);
  }
}
