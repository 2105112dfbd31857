// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include "laws/metrics_on_backends.hpp"
#include "laws/on_backends.hpp"
#include "support/toy_backend.hpp"

// What every backend owes: the numbers of the host, for every loss with its statistics, coefficients and metrics. The toy
// computes with plain doubles and the standard library's functions, in its own loops, so the two agree to rounding.
// tests/adapters/cuda asks the same of a device.

namespace {

using namespace prefer::test;

TEST_CASE(
    "laws: every loss with its statistics, coefficients and metrics is the same on every backend",
    "[laws][backend]") {
  STATIC_REQUIRE(prefer::Backend<toy>);
  toy_place place;
  every_loss_is_the_same<1, 2, prefer::dynamic_arity>(place, 61);
}

TEST_CASE("laws: every metric of pairs is the same on every backend, and crosses in sums only",
          "[laws][backend]") {
  toy_place place;
  every_metric_is_the_same(place);
  CHECK(place.crossings.sums > 0);
  CHECK(place.crossings.columns == 0);
}

}  // namespace
