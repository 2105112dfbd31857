// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>

#include <prefer/loss/dpo.hpp>
#include <prefer/loss/plackett_luce.hpp>

#include "loss/lists.hpp"
#include "support/near.hpp"

namespace {

using namespace prefer::test;
using prefer::plackett_luce;

TEST_CASE("plackett_luce: every one of K! rankings is as likely when policy equals reference",
          "[loss][plackett_luce]") {
  auto const y = on_list(plackett_luce{.beta = 0.5}, {0.0, 0.0, 0.0, 0.0});
  CHECK(near(y.loss, std::log(24.0), 1e-15));
  // Of completion i: beta * (sum over ranks k <= i of 1 / (K - k)) - beta, where it is ranked itself.
  CHECK(near(y.coefficient[0], 0.5 * (1.0 / 4 - 1.0), 1e-14));
  CHECK(near(y.coefficient[1], 0.5 * (1.0 / 4 + 1.0 / 3 - 1.0), 1e-14));
  CHECK(near(y.coefficient[2], 0.5 * (1.0 / 4 + 1.0 / 3 + 1.0 / 2 - 1.0), 1e-13));
  CHECK(near(y.coefficient[3], 0.5 * (1.0 / 4 + 1.0 / 3 + 1.0 / 2), 1e-14));
}

TEST_CASE("plackett_luce: hand-computed ranking of three", "[loss][plackett_luce]") {
  // exp(s) = 4, 2, 1: 4/7 then 2/3, and the last one has no choice.
  auto const y = on_list(plackett_luce{.beta = 1.0}, {std::log(4.0), std::log(2.0), 0.0});
  CHECK(near(y.loss, -std::log(4.0 / 7.0 * 2.0 / 3.0), 1e-14));
  CHECK(near(y.coefficient[0], 4.0 / 7.0 - 1.0, 1e-14));
  CHECK(near(y.coefficient[1], 2.0 / 7.0 + 2.0 / 3.0 - 1.0, 1e-13));
  CHECK(near(y.coefficient[2], 1.0 / 7.0 + 1.0 / 3.0, 1e-14));
}

TEST_CASE("plackett_luce: with two completions it is dpo", "[loss][plackett_luce]") {
  for (double const margin : {-800.0, -3.0, 0.0, 2.0, 30.0}) {
    CAPTURE(margin);
    auto const list = on_list(plackett_luce{.beta = 0.7}, {margin - 1.0, -1.0});
    auto const pair = on_pair(prefer::dpo{.beta = 0.7}, margin - 1.0, -1.0);
    CHECK(near(list.loss, pair.loss, 1e-13, 1e-2));
    CHECK(near(list.coefficient[0], pair.coefficient.chosen[0], 1e-13, 1e-2));
    CHECK(near(list.coefficient[1], pair.coefficient.rejected[0], 1e-13, 1e-2));
  }
}

TEST_CASE("plackett_luce: a list of one has loss zero", "[loss][plackett_luce]") {
  auto const y = on_list(plackett_luce{}, {-3.0});
  CHECK(y.loss == 0.0);
  CHECK(y.coefficient[0] == 0.0);
}

TEST_CASE("plackett_luce: extreme log-ratios have their limits", "[loss][plackett_luce]") {
  auto const wrong = on_list(plackett_luce{.beta = 1.0}, {-2e4, -1e4, 0.0});  // 2e4 + 1e4
  CHECK(wrong.loss == 3e4);
  CHECK(wrong.coefficient[0] == -1.0);
  CHECK(wrong.coefficient[1] == -1.0);
  CHECK(wrong.coefficient[2] == 2.0);
  auto const right = on_list(plackett_luce{.beta = 1.0}, {0.0, -1e4, -2e4});
  CHECK(right.loss == 0.0);
}

}  // namespace
