// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <prefer/loss/discopop.hpp>

#include "loss/closed_form.hpp"

namespace {

using namespace prefer::test;
using prefer::discopop;

TEST_CASE("discopop: value and derivatives are the paper's", "[loss][discopop]") {
  // (1 - s) sp(-z) + s exp(-z), s = sigmoid(z / t);
  // slope: -(1 - s) sigmoid(-z) - s exp(-z) + s (1 - s) / t * (exp(-z) - sp(-z)).
  // Exponents near 600 carry an error of 600 * 2^-53 in their exponential: 1e-12. Below the square root of the
  // smallest double, products of s and exp(-z) in the formula lose digits before ours do.
  double const beta = 0.5, t = 0.0625;
  has_closed_form(discopop{.beta = beta, .temperature = t},
                  [&](paper_numbers const& n) {
                    long double const z = beta * (n.r_w - n.r_l);
                    long double const s = sig(z / t), rest = sig(-z / t);
                    long double const e = std::exp(-z), f = sp(-z);
                    return of_margin(rest * f + s * e,
                                     -rest * sig(-z) - s * e + s * rest / t * (e - f), beta);
                  },
                  some_pairs(), {.relative = 1e-12});
}

TEST_CASE("discopop: descent from the reference first moves the wrong way", "[loss][discopop]") {
  // At 0: -(1/2)(1/2) - 1/2 + (1/4) / 0.05 * (1 - ln 2) = 0.784: the margin falls.
  auto const y = at(discopop{.beta = 1.0}, pair_with_margin(0.0));
  CHECK(near(y.value, (std::log(2.0) + 1.0) / 2.0, 1e-15));
  CHECK(near(y.chosen, -0.75 + 5.0 * (1.0 - std::log(2.0)), 1e-14));
  CHECK(y.chosen > 0.78);
}

TEST_CASE("discopop: beside the reference lie a local minimum and a barrier", "[loss][discopop]") {
  auto const slope = [](double z) { return at(discopop{.beta = 1.0}, pair_with_margin(z)).chosen; };
  CHECK((slope(-0.124) < 0.0 && slope(-0.114) > 0.0));  // minimum at -0.119
  CHECK((slope(0.067) > 0.0 && slope(0.077) < 0.0));    // barrier at 0.072
  CHECK(at(discopop{.beta = 1.0}, pair_with_margin(-0.119)).value == Approx(0.786).margin(5e-4));
  CHECK(at(discopop{.beta = 1.0}, pair_with_margin(0.072)).value == Approx(0.878).margin(5e-4));
}

TEST_CASE("discopop: where exp(-z) overflows the loss is -z and no NaN", "[loss][discopop]") {
  // s exp(-z) = exp(20 z - z) is 0 there; s times exp(-z) would be 0 times infinity.
  auto const y = at(discopop{.beta = 1.0}, pair_with_margin(-2000.0));
  CHECK(y.value == 2000.0);
  CHECK(y.chosen == -1.0);
  CHECK(at(discopop{.beta = 1.0}, pair_with_margin(2000.0)).value == 0.0);
}

TEST_CASE("discopop: parameters out of range are refused", "[loss][discopop]") {
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(discopop{.beta = 0.0}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(discopop{.temperature = 0.0}),
                  prefer::precondition_error);
}

}  // namespace
