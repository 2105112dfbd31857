// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <prefer/loss/nash_md.hpp>

#include "loss/one_example.hpp"

namespace {

using namespace prefer::test;
using prefer::nash_md;

TEST_CASE("nash_md: the derivative is that of the policy gradient, log_ratio held constant",
          "[loss][nash_md]") {
  // beta * log_ratio - (P - 1/2)
  auto const y = at_example(nash_md{.beta = 0.5}, {.log_ratio = 3.0, .score = 0.75});
  CHECK(y.slope == 1.5 - 0.25);
  CHECK(y.value == (1.5 - 0.25) * -7.0);  // log_prob is -10 + 3
}

TEST_CASE("nash_md: beta is 0.1 unless it is given", "[loss][nash_md]") {
  CHECK(at_example(nash_md{}, {.log_ratio = 3.0, .score = 0.5}).slope ==
        Approx(0.3).epsilon(1e-14));
}

TEST_CASE("nash_md: at the reference an even chance of winning gives no gradient",
          "[loss][nash_md]") {
  CHECK(at_example(nash_md{}, {.log_ratio = 0.0, .score = 0.5}).slope == 0.0);
  CHECK(at_example(nash_md{}, {.log_ratio = 0.0, .score = 1.0}).slope == -0.5);  // a win: up
  CHECK(at_example(nash_md{}, {.log_ratio = 0.0, .score = 0.0}).slope == 0.5);
}

TEST_CASE("nash_md: labels are not read", "[loss][nash_md]") {
  using prefer::column_name;
  CHECK(prefer::needs<nash_md> ==
        (column_name::policy | column_name::reference | column_name::score));
}

TEST_CASE("nash_md: beta out of range is refused", "[loss][nash_md]") {
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(nash_md{.beta = 0.0}),
                  prefer::precondition_error);
}

}  // namespace
