// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <limits>
#include <prefer/train/learning_rate.hpp>
#include <type_traits>

using prefer::learning_rate;

static_assert(std::is_trivially_copyable_v<learning_rate>);
static_assert(learning_rate(0.25)(1000000) == 0.25);

TEST_CASE("learning_rate: a constant rate is the same at every step", "[train][learning_rate]") {
  learning_rate const rate = 5e-7;
  CHECK(rate(0) == 5e-7);
  CHECK(rate(std::numeric_limits<std::uint64_t>::max()) == 5e-7);
}

TEST_CASE("learning_rate: warm-up rises in equal parts to the peak and the first step counts",
          "[train][learning_rate]") {
  auto const rate = learning_rate::constant({.peak = 8.0, .warm_up = {.steps = 4}});
  CHECK(rate(0) == 2);
  CHECK(rate(1) == 4);
  CHECK(rate(2) == 6);
  CHECK(rate(3) == 8);
  CHECK(rate(4) == 8);
  CHECK(rate(1000) == 8);
}

TEST_CASE("learning_rate: linear decay falls by the same amount each step, to zero at the end",
          "[train][learning_rate]") {
  auto const rate = learning_rate::linear({.peak = 8.0, .steps = 10, .warm_up = {.ratio = 0.2}});
  CHECK(rate.warm_up_steps() == 2);
  CHECK(rate(0) == 4);
  for (std::uint64_t step = 2; step <= 10; ++step) {
    CHECK(rate(step) == Approx(static_cast<double>(10 - step)).margin(1e-15));
  }
  CHECK(rate(10) == 0);
  CHECK(rate(11) == 0);
}

TEST_CASE("learning_rate: cosine decay is at peak, three quarters, middle, a quarter, floor",
          "[train][learning_rate]") {
  // (1 + cos(pi t)) / 2 is 1, 3/4, 1/2, 1/4, 0 at t = 0, 1/3, 1/2, 2/3, 1.
  auto const rate = learning_rate::cosine({.peak = 5.0, .steps = 12, .floor = 1.0});
  CHECK(rate(0) == 5);
  CHECK(rate(4) == Approx(4));
  CHECK(rate(6) == Approx(3));
  CHECK(rate(8) == Approx(2));
  CHECK(rate(12) == 1);
  CHECK(rate(13) == 1);
}

TEST_CASE("learning_rate: a ratio is rounded up to whole steps", "[train][learning_rate]") {
  CHECK(
      learning_rate::linear({.peak = 1, .steps = 15, .warm_up = {.ratio = 0.1}}).warm_up_steps() ==
      2);
  CHECK(learning_rate::linear({.peak = 1, .steps = 3, .warm_up = {.ratio = 1}}).warm_up_steps() ==
        3);
  CHECK(learning_rate::linear({.peak = 1, .steps = 3, .warm_up = {.ratio = 1}})(2) == 1);
  CHECK(learning_rate::linear({.peak = 1, .steps = 3, .warm_up = {.ratio = 1}})(3) == 0);
}

TEST_CASE("learning_rate: what makes no sense does not construct", "[train][learning_rate]") {
  using prefer::precondition_error;
  double const nan = std::numeric_limits<double>::quiet_NaN();
  double const infinity = std::numeric_limits<double>::infinity();
  CHECK_THROWS_AS(learning_rate(0), precondition_error);
  CHECK_THROWS_AS(learning_rate(-1), precondition_error);
  CHECK_THROWS_AS(learning_rate(nan), precondition_error);
  CHECK_THROWS_AS(learning_rate(infinity), precondition_error);
  CHECK_THROWS_AS(learning_rate::linear({.peak = 1}), precondition_error);
  CHECK_THROWS_AS(learning_rate::cosine({.peak = 1}), precondition_error);
  CHECK_THROWS_AS(learning_rate::cosine({.peak = 1, .steps = 5, .floor = 2}), precondition_error);
  CHECK_THROWS_AS(learning_rate::cosine({.peak = 1, .steps = 5, .floor = -1}), precondition_error);
  CHECK_THROWS_AS(learning_rate::constant({.peak = 1, .floor = 0.5}), precondition_error);
  CHECK_THROWS_AS(learning_rate::constant({.peak = 1, .warm_up = {.ratio = 0.1}}),
                  precondition_error);
  CHECK_THROWS_AS(learning_rate::linear({.peak = 1, .steps = 5, .warm_up = {.steps = 6}}),
                  precondition_error);
  CHECK_THROWS_AS(learning_rate::linear({.peak = 1, .steps = 5, .warm_up = {.ratio = 1.5}}),
                  precondition_error);
  CHECK_THROWS_AS(learning_rate::linear({.peak = 1, .steps = 5, .warm_up = {.ratio = nan}}),
                  precondition_error);
  CHECK_THROWS_AS(
      learning_rate::linear({.peak = 1, .steps = 5, .warm_up = {.steps = 1, .ratio = 0.5}}),
      precondition_error);
}

TEST_CASE("learning_rate: is a value that compares", "[train][learning_rate]") {
  CHECK(learning_rate(1e-3) == learning_rate::constant({.peak = 1e-3}));
  CHECK(learning_rate::linear({.peak = 1, .steps = 5}) !=
        learning_rate::cosine({.peak = 1, .steps = 5}));
}
