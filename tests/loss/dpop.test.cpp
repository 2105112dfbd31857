// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <prefer/loss/dpop.hpp>

#include "loss/closed_form.hpp"

namespace {

using namespace prefer::test;
using prefer::dpop;

TEST_CASE("dpop: value and derivatives are the paper's", "[loss][dpop]") {
  double const beta = 0.5, lambda = 4.0;
  has_closed_form(dpop{.beta = beta, .penalty = lambda}, [&](paper_numbers const& n) {
    long double const fall = n.r_w < 0 ? -n.r_w : 0;
    long double const z = beta * (n.r_w - n.r_l - lambda * fall);
    return closed_form{sp(-z), -beta * sig(-z) * (1 + (n.r_w < 0 ? lambda : 0)), beta * sig(-z)};
  });
}

TEST_CASE("dpop: the penalty is inside beta", "[loss][dpop]") {
  // Chosen one nat below, rejected at the reference: z = 0.25 * (-1 - 3 * 1) = -1.
  auto const y = at(dpop{.beta = 0.25, .penalty = 3.0}, pair_with_log_ratios(-1.0, 0.0));
  CHECK(near(y.value, std::log1p(std::exp(1.0)), 1e-15));
}

TEST_CASE("dpop: at the kink, where training starts, the penalty has derivative 0",
          "[loss][dpop]") {
  auto const y = at(dpop{.beta = 0.5, .penalty = 50.0}, pair_with_margin(0.0));
  CHECK(y.chosen == -0.25);  // dpo's: -beta / 2
  CHECK(y.rejected == 0.25);
}

TEST_CASE("dpop: a pair whose completions both fall is pushed up again, unlike by dpo",
          "[loss][dpop]") {
  // Margin 10, so dpo is content; chosen is 5 nats down, and the penalty of 250 nats is not.
  auto const y = at(dpop{}, pair_with_log_ratios(-5.0, -15.0));
  CHECK(y.chosen == Approx(-0.3 * 51.0).epsilon(1e-14));  // sigmoid(72) = 1
}

TEST_CASE("dpop: without a penalty it is dpo", "[loss][dpop]") {
  double const beta = 0.5;
  has_closed_form(dpop{.beta = beta, .penalty = 0.0}, [&](paper_numbers const& n) {
    long double const z = beta * (n.r_w - n.r_l);
    return of_margin(sp(-z), -sig(-z), beta);
  });
}

TEST_CASE("dpop: parameters out of range are refused", "[loss][dpop]") {
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(dpop{.beta = 0.0}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(dpop{.penalty = -1.0}),
                  prefer::precondition_error);
}

}  // namespace
