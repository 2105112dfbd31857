// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <prefer/loss/nll.hpp>

#include "loss/one_pair.hpp"

namespace {

using namespace prefer::test;

TEST_CASE("nll: minus the chosen log_prob, and nothing of rejected", "[loss][nll]") {
  auto const y = at(prefer::nll{}, pair_with_margin(0.0));
  CHECK(y.value == 20.0);
  CHECK(y.chosen == -1.0);
  CHECK(y.rejected == 0.0);
}

TEST_CASE("nll_per_token: divided by the chosen completion's length", "[loss][nll]") {
  auto const y = at(prefer::nll_per_token{}, pair_with_margin(0.0));
  CHECK(y.value == 5.0);
  CHECK(y.chosen == -0.25);
  CHECK(y.rejected == 0.0);
}

}  // namespace
