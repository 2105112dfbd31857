// SPDX-License-Identifier: MIT
#include <chrono>
#include <cstdlib>
#include <thread>

#include <catch2/catch.hpp>

#include <prefer/parallel/watchdog.hpp>

#include "support/in_process.hpp"

using std::chrono::milliseconds;

TEST_CASE("watchdog: calls that come back in time are not heard of", "[parallel][watchdog]") {
  auto const end = prefer::test::in_process([] {
    prefer::watchdog dog("process 1 of 4");
    for (int i = 0; i != 1000; ++i) auto const watch = dog.over("short", milliseconds(60'000));
    // What is watched for long is forgotten with it: the next is not ended in its place.
    { auto const watch = dog.over("long", milliseconds(200)); }
    std::this_thread::sleep_for(milliseconds(500));
  });
  CHECK(end.code == 0);
  CHECK(end.err.empty());
}

TEST_CASE("watchdog: a call that does not come back ends the program with a sentence",
          "[parallel][watchdog]") {
  auto const end = prefer::test::in_process([] {
    prefer::watchdog dog("process 1 of 4");
    // A call of long ago with a later end does not let it sleep.
    { auto const watch = dog.over("long", milliseconds(60'000)); }
    auto const watch = dog.over("ncclCommAbort", milliseconds(250));
    std::this_thread::sleep_for(std::chrono::minutes(2));
  });
  CHECK(end.code == EXIT_FAILURE);
  CHECK(end.err ==
        "prefer: process 1 of 4: ncclCommAbort did not come back within 0.25 s. This process ends "
        "now; the last checkpoint is whole.\n");
}
