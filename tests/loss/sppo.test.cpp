// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <prefer/loss/sppo.hpp>

#include "loss/closed_form.hpp"

namespace {

using namespace prefer::test;
using prefer::sppo_hard;
using prefer::sppo_soft;

TEST_CASE("sppo_hard: value and derivatives are the paper's, without the authors' factor 1/2",
          "[loss][sppo]") {
  long double const target = 1 / (2 * 0.25L);
  has_closed_form(sppo_hard{.beta = 0.25}, [&](paper_numbers const& n) {
    long double const w = n.r_w - target, l = n.r_l + target;
    return closed_form{w * w + l * l, 2 * w, 2 * l};
  });
}

TEST_CASE("sppo_soft: value and derivatives are the authors'", "[loss][sppo]") {
  double const beta = 0.25;
  has_closed_form(sppo_soft{.beta = beta}, [&](paper_numbers const& n) {
    long double const w = n.r_w - (n.score_w - 0.5L) / beta;
    long double const l = n.r_l - (n.score_l - 0.5L) / beta;
    return closed_form{(w * w + l * l) / 2, w, l};
  });
}

TEST_CASE("sppo_soft: for certain wins it is half of sppo_hard", "[loss][sppo]") {
  auto pair = pair_with_log_ratios(1.5, 0.25);
  pair.chosen.score = 1.0;
  pair.rejected.score = 0.0;
  auto const soft = at(sppo_soft{.beta = 0.25}, pair);
  auto const hard = at(sppo_hard{.beta = 0.25}, pair);
  CHECK(soft.value == hard.value / 2.0);
  CHECK(soft.chosen == hard.chosen / 2.0);
  CHECK(soft.rejected == hard.rejected / 2.0);
}

TEST_CASE("sppo: beta is 1 / eta: the paper's 0.001 asks for 500 nats, 0.1 for 5", "[loss][sppo]") {
  CHECK(at(sppo_hard{.beta = 0.001}, pair_with_margin(0.0)).chosen == -1000.0);  // -2 * 500
  CHECK(near(at(sppo_hard{}, pair_with_margin(0.0)).chosen, -10.0, 1e-15));
  CHECK(at(sppo_hard{.beta = 0.001}, pair_with_log_ratios(500.0, -500.0)).value == 0.0);
}

TEST_CASE("sppo: beta out of range is refused", "[loss][sppo]") {
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(sppo_hard{.beta = 0.0}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(sppo_soft{.beta = -1.0}),
                  prefer::precondition_error);
}

}  // namespace
