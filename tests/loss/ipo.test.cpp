// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <prefer/loss/ipo.hpp>

#include "loss/one_pair.hpp"
#include "support/near.hpp"

namespace {

using namespace prefer::test;
using prefer::ipo;
using prefer::ipo_sum;

TEST_CASE("ipo_sum: loss is 1 / (4 beta^2) when policy equals reference", "[loss][ipo]") {
  auto const y = at(ipo_sum{.beta = 0.25}, pair_with_margin(0.0));
  CHECK(y.value == 4.0);
  CHECK(y.chosen == -4.0);  // 2 * (0 - 2)
  CHECK(y.rejected == 4.0);
  CHECK(at(ipo{.beta = 0.25}, pair_with_margin(0.0)).value == 4.0);
}

TEST_CASE("ipo_sum: loss and slope are zero at the target margin and the loss rises beyond it",
          "[loss][ipo]") {
  auto const loss = ipo_sum{.beta = 0.25};  // target 2 nats
  CHECK(at(loss, pair_with_margin(2.0)).value == 0.0);
  CHECK(at(loss, pair_with_margin(2.0)).chosen == 0.0);
  CHECK(at(loss, pair_with_margin(5.0)).value == 9.0);
  CHECK(at(loss, pair_with_margin(5.0)).chosen == 6.0);
}

TEST_CASE("ipo: log-ratios are averaged over each completion's own tokens", "[loss][ipo]") {
  // chosen: 8 nats over 4 tokens; rejected: -5 nats over 5 tokens; margin 2 + 1, target 1.
  auto pair = pair_with_margin(8.0);
  pair.rejected.log_prob = -35.0;
  auto const y = at(ipo{.beta = 0.5}, pair);
  CHECK(y.value == 4.0);
  CHECK(y.chosen == 2.0 * 2.0 / 4.0);
  CHECK(near(y.rejected, -2.0 * 2.0 / 5.0, 1e-15));
}

TEST_CASE("ipo: for completions of one token it is ipo_sum", "[loss][ipo]") {
  auto pair = pair_with_margin(3.25);
  pair.chosen.completion_length = pair.rejected.completion_length = 1.0;
  CHECK(at(ipo{.beta = 0.1}, pair).value == at(ipo_sum{.beta = 0.1}, pair).value);
}

TEST_CASE("ipo: extreme margins are finite", "[loss][ipo]") {
  CHECK(at(ipo_sum{.beta = 0.5}, pair_with_margin(-1e4)).value == 10001.0 * 10001.0);
  CHECK(at(ipo_sum{.beta = 0.5}, pair_with_margin(1e4)).chosen == 2.0 * 9999.0);
}

TEST_CASE("ipo: beta out of range is refused", "[loss][ipo]") {
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(ipo{.beta = 0.0}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(ipo_sum{.beta = -1.0}),
                  prefer::precondition_error);
}

}  // namespace
