// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <prefer/loss/hinge.hpp>

#include "loss/one_pair.hpp"

namespace {

using namespace prefer::test;
using prefer::hinge;

TEST_CASE("hinge: loss is 1 when policy equals reference", "[loss][hinge]") {
  auto const y = at(hinge{.beta = 0.25}, pair_with_margin(0.0));
  CHECK(y.value == 1.0);
  CHECK(y.chosen == -0.25);
  CHECK(y.rejected == 0.25);
}

TEST_CASE("hinge: loss and slope are zero from a margin of 1 / beta on, the kink included",
          "[loss][hinge]") {
  CHECK(at(hinge{.beta = 0.25}, pair_with_margin(3.0)).value == 0.25);
  CHECK(at(hinge{.beta = 0.25}, pair_with_margin(4.0)).value == 0.0);
  CHECK(at(hinge{.beta = 0.25}, pair_with_margin(4.0)).chosen == 0.0);
  CHECK(at(hinge{.beta = 0.25}, pair_with_margin(1e4)).value == 0.0);
  CHECK(at(hinge{.beta = 0.25}, pair_with_margin(1e4)).rejected == 0.0);
}

TEST_CASE("hinge: the loss is linear below the kink", "[loss][hinge]") {
  CHECK(at(hinge{.beta = 0.25}, pair_with_margin(-1e4)).value == 2501.0);
  CHECK(at(hinge{.beta = 0.25}, pair_with_margin(-1e4)).chosen == -0.25);
}

TEST_CASE("hinge: beta out of range is refused", "[loss][hinge]") {
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(hinge{.beta = 0.0}),
                  prefer::precondition_error);
}

}  // namespace
