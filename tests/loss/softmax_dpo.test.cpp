// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>

#include <prefer/loss/dpo.hpp>
#include <prefer/loss/softmax_dpo.hpp>

#include "loss/lists.hpp"
#include "support/near.hpp"

namespace {

using namespace prefer::test;
using prefer::softmax_dpo;

TEST_CASE("softmax_dpo: loss is log K when policy equals reference", "[loss][softmax_dpo]") {
  auto const y = on_list(softmax_dpo{.beta = 0.5}, {0.0, 0.0, 0.0, 0.0});
  CHECK(near(y.loss, std::log(4.0), 1e-15));
  CHECK(near(y.coefficient[0], -0.5 * 3.0 / 4.0, 1e-15));  // beta * (1/K - 1)
  CHECK(near(y.coefficient[2], 0.5 / 4.0, 1e-15));
}

TEST_CASE("softmax_dpo: with two completions it is dpo", "[loss][softmax_dpo]") {
  for (double const margin : {-800.0, -3.0, 0.0, 2.0, 50.0, 800.0}) {
    CAPTURE(margin);
    auto const list = on_list(softmax_dpo{.beta = 0.7}, {margin - 1.0, -1.0});
    auto const pair = on_pair(prefer::dpo{.beta = 0.7}, margin - 1.0, -1.0);
    CHECK(near(list.loss, pair.loss, 1e-13));
    CHECK(near(list.coefficient[0], pair.coefficient.chosen[0], 1e-12));
    CHECK(near(list.coefficient[1], pair.coefficient.rejected[0], 1e-12));
  }
}

TEST_CASE("softmax_dpo: a list of one has loss zero", "[loss][softmax_dpo]") {
  auto const y = on_list(softmax_dpo{}, {-3.0});
  CHECK(y.loss == 0.0);
  CHECK(y.coefficient[0] == 0.0);
}

TEST_CASE("softmax_dpo: extreme log-ratios have their limits", "[loss][softmax_dpo]") {
  auto const wrong = on_list(softmax_dpo{.beta = 1.0}, {-1e4, 0.0, -1e4});
  CHECK(wrong.loss == 1e4);
  CHECK(wrong.coefficient[0] == -1.0);
  CHECK(wrong.coefficient[1] == 1.0);
  CHECK(wrong.coefficient[2] == 0.0);
  auto const right = on_list(softmax_dpo{.beta = 1.0}, {0.0, -600.0, -1e4});
  CHECK(near(right.loss, std::exp(-600.0), 1e-13));  // small, and not rounded to 0
  CHECK(near(right.coefficient[0], -std::exp(-600.0), 1e-13));
}

TEST_CASE("softmax_dpo: beta out of range is refused", "[loss][softmax_dpo]") {
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(softmax_dpo{.beta = 0.0}),
                  prefer::precondition_error);
}

}  // namespace
