// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <prefer/parallel/executor.hpp>
#include <type_traits>
#include <utility>
#include <vector>

using prefer::executor;

static_assert(std::is_trivially_copyable_v<executor>);
static_assert(executor().concurrency() == 1);

namespace {

// An engine with its own order: backwards.
struct backwards {
  std::size_t chunks_run = 0;
  static void run(void* context, std::size_t chunks, executor::chunk_function body, void* work) {
    while (chunks-- != 0) {
      body(work, chunks);
      ++static_cast<backwards*>(context)->chunks_run;
    }
  }
};

std::vector<std::size_t> seen;
void see(std::size_t chunk) { seen.push_back(chunk); }

}  // namespace

TEST_CASE("executor: by default runs every chunk here, in order", "[parallel][executor]") {
  std::vector<std::size_t> order;
  executor().for_each_chunk(4, [&](std::size_t chunk) { order.push_back(chunk); });
  CHECK(order == std::vector<std::size_t>{0, 1, 2, 3});
  executor().for_each_chunk(0, [&](std::size_t) { order.clear(); });
  CHECK(order.size() == 4);
}

TEST_CASE("executor: hands chunks to whatever engine it points to", "[parallel][executor]") {
  backwards engine;
  executor const handle(&engine, &backwards::run, 7);
  CHECK(handle.concurrency() == 7);
  std::vector<std::size_t> order;
  handle.for_each_chunk(3, [&](std::size_t chunk) { order.push_back(chunk); });
  CHECK(order == std::vector<std::size_t>{2, 1, 0});
  CHECK(engine.chunks_run == 3);
  handle.for_each_chunk(1, [&](std::size_t chunk) { order.push_back(chunk); });
  CHECK(engine.chunks_run == 3);  // one chunk needs no engine
  CHECK(order.size() == 4);
}

TEST_CASE("executor: takes functions and callables that are constant", "[parallel][executor]") {
  backwards engine;
  executor const handle(&engine, &backwards::run, 2);
  seen.clear();
  handle.for_each_chunk(2, see);
  auto const constant = [](std::size_t chunk) { seen.push_back(chunk + 10); };
  handle.for_each_chunk(2, constant);
  CHECK(seen == std::vector<std::size_t>{1, 0, 11, 10});
}

TEST_CASE("executor: blocks cover the range once and end with the short one",
          "[parallel][executor]") {
  using ranges = std::vector<std::pair<std::size_t, std::size_t>>;
  auto const blocks = [](std::size_t size, std::size_t block) {
    ranges all;
    executor().for_each_block(size, block, [&](std::size_t begin, std::size_t end) {
      all.push_back({begin, end});
    });
    return all;
  };
  CHECK(blocks(10, 4) == ranges{{0, 4}, {4, 8}, {8, 10}});
  CHECK(blocks(8, 4) == ranges{{0, 4}, {4, 8}});
  CHECK(blocks(3, 4) == ranges{{0, 3}});
  CHECK(blocks(0, 4).empty());
  CHECK_THROWS_AS(blocks(3, 0), prefer::precondition_error);
}
