// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <prefer/loss/rrhf.hpp>

#include "loss/one_list.hpp"
#include "support/near.hpp"

namespace {

using namespace prefer::test;
using prefer::rrhf;

// Per token -3, -2 and -1, in the wrong order altogether.
list_point const reversed{
    .log_prob = {-6.0, -8.0, -1.0}, .length = {2.0, 4.0, 1.0}, .score = {3.0, 2.0, 1.0}};

TEST_CASE("rrhf: three completions by hand", "[loss][rrhf]") {
  // Violations: (1, 2) by 1, (1, 3) by 2, (2, 3) by 1; likelihood of the first: 3 per token.
  auto const y = at_list(rrhf{.weight = 0.5}, reversed);
  CHECK(near(y.value, 0.5 * 4.0 + 3.0, 1e-14));
  // Of each p: the first is in two violated pairs from above, the second once on either side.
  CHECK(near(y.slope[0], (0.5 * -2.0 - 1.0) / 2.0, 1e-14));
  CHECK(near(y.slope[1], 0.0, 0.0, 1.0));
  CHECK(near(y.slope[2], 0.5 * 2.0, 1e-14));
}

TEST_CASE("rrhf: in the right order only the likelihood is left", "[loss][rrhf]") {
  auto sorted = reversed;
  sorted.score = {1.0, 2.0, 3.0};
  auto const y = at_list(rrhf{.weight = 100.0}, sorted);
  CHECK(near(y.value, 3.0, 1e-15));
  CHECK(y.slope[1] == 0.0);
  CHECK(y.slope[2] == 0.0);
}

TEST_CASE("rrhf: equal scores and equal p are no violation", "[loss][rrhf]") {
  auto tied = reversed;
  tied.score = {1.0, 1.0, 1.0};
  CHECK(near(at_list(rrhf{}, tied).value, 3.0, 1e-15));
  list_point const same{.log_prob = {-4.0, -4.0}, .length = {2.0, 2.0}, .score = {2.0, 1.0}};
  auto const y = at_list(rrhf{.weight = 100.0}, same);
  CHECK(near(y.value, 2.0, 1e-15));
  CHECK(y.slope[1] == 0.0);  // the kink
}

TEST_CASE("rrhf: length_power 0 compares sums, and leaves the likelihood per token",
          "[loss][rrhf]") {
  // Sums -6, -8, -1: only those with the last are violated, by 5 and 7.
  CHECK(near(at_list(rrhf{.weight = 1.0, .length_power = 0.0}, reversed).value, 12.0 + 3.0, 1e-14));
}

TEST_CASE("rrhf: parameters out of range are refused", "[loss][rrhf]") {
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(rrhf{.weight = -1.0}),
                  prefer::precondition_error);
}

}  // namespace
