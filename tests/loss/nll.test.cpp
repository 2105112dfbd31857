// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <vector>

#include <prefer/loss/nll.hpp>

#include "loss/one_list.hpp"
#include "loss/one_pair.hpp"
#include "support/near.hpp"

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

TEST_CASE("nll_per_batch_token: the mean is minus the log_prob of a token of the batch",
          "[loss][nll]") {
  std::vector<double> const chosen = {-6.0, -2.0, -40.0}, rejected(3, -1.0),
                            length = {3.0, 1.0, 16.0};
  auto const loss = prefer::nll_per_batch_token{};
  prefer::nothing memory;
  auto const state = prefer::prepare(
      loss, prefer::pair_columns{.policy = {chosen, rejected}, .length = {length, length}}, memory);
  double mean = 0.0;
  for (double const log_prob : chosen) {
    auto pair = pair_with_margin(0.0);
    pair.chosen.log_prob = log_prob;
    auto const y = at(loss, pair, state);
    CHECK(near(y.chosen, -3.0 / 20.0, 1e-15));  // B / tokens: the same for all tokens
    CHECK(y.rejected == 0.0);
    mean += y.value / 3.0;
  }
  CHECK(near(mean, 48.0 / 20.0, 1e-15));
}

TEST_CASE("nll_per_batch_token: for equal lengths it is nll_per_token", "[loss][nll]") {
  CHECK(at(prefer::nll_per_batch_token{}, pair_with_margin(0.0), {.tokens_per_pair = 4.0}).value ==
        at(prefer::nll_per_token{}, pair_with_margin(0.0)).value);
}

TEST_CASE("nll_of_best: minus the first completion's log_prob per token", "[loss][nll]") {
  auto list = list_point::of({2.0, -3.0, 0.0}, {0.0, 0.0, 0.0});
  list.length = {4.0, 1.0, 1.0};
  auto const y = at_list(prefer::nll_of_best{}, list);
  CHECK(y.value == 2.0);  // -(-10 + 2) / 4
  CHECK(y.slope == std::vector<double>{-0.25, 0.0, 0.0});
}

}  // namespace
