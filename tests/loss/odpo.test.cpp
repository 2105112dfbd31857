// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <prefer/loss/odpo.hpp>

#include "loss/closed_form.hpp"

namespace {

using namespace prefer::test;
using prefer::dpo_with_margin;
using prefer::odpo;

TEST_CASE("odpo: value and derivatives are the paper's", "[loss][odpo]") {
  // The offset is rounded, by less than 2^-53: that much more of the exponential.
  double const beta = 0.5, alpha = 2.0;
  has_closed_form(odpo{.beta = beta, .alpha = alpha},
                  [&](paper_numbers const& n) {
                    long double const z =
                        beta * (n.r_w - n.r_l) - alpha * std::log(n.score_w - n.score_l);
                    return of_margin(sp(-z), -sig(-z), beta);
                  },
                  some_pairs(), {.relative = 1e-13});
}

TEST_CASE("odpo: scores one apart have no offset, closer ones a negative one", "[loss][odpo]") {
  auto pair = pair_with_margin(2.0);
  pair.chosen.score = 3.5;
  pair.rejected.score = 2.5;
  CHECK(near(at(odpo{.beta = 0.5}, pair).value, std::log1p(std::exp(-1.0)), 1e-15));
  pair.chosen.score = 3.0;  // log(1/2): the loss asks for less than dpo
  CHECK(near(at(odpo{.beta = 0.5}, pair).value, std::log1p(std::exp(-1.0) / 2.0), 1e-15));
}

TEST_CASE("odpo: equal scores ask for nothing, scores in the wrong order have no logarithm",
          "[loss][odpo]") {
  auto pair = pair_with_margin(-3.0);
  pair.chosen.score = pair.rejected.score = 2.0;
  auto const equal = at(odpo{}, pair);  // an offset of minus infinity
  CHECK(equal.value == 0.0);
  CHECK(equal.chosen == 0.0);
  pair.chosen.score = 1.0;
  CHECK(std::isnan(at(odpo{}, pair).value));
}

TEST_CASE("odpo: with alpha = 0 and scores apart it is dpo", "[loss][odpo]") {
  has_closed_form(odpo{.beta = 0.5, .alpha = 0.0}, [](paper_numbers const& n) {
    long double const z = 0.5L * (n.r_w - n.r_l);
    return of_margin(sp(-z), -sig(-z), 0.5);
  });
}

TEST_CASE("dpo_with_margin: value and derivatives are dpo's at a shifted margin", "[loss][odpo]") {
  double const beta = 0.5, gamma = 1.75;
  has_closed_form(dpo_with_margin{.beta = beta, .gamma = gamma}, [&](paper_numbers const& n) {
    long double const z = beta * (n.r_w - n.r_l) - gamma;
    return of_margin(sp(-z), -sig(-z), beta);
  });
}

TEST_CASE("dpo_with_margin: a pair's own margin replaces gamma", "[loss][odpo]") {
  auto pair = pair_with_margin(1.0);
  auto const expected = at(dpo_with_margin{.gamma = 0.25}, pair).value;
  pair.pair_target_margin = {true, 0.25};
  CHECK(at(dpo_with_margin{.gamma = 7.0}, pair).value == expected);
}

TEST_CASE("odpo: parameters out of range are refused", "[loss][odpo]") {
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(odpo{.beta = 0.0}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(odpo{.alpha = -1.0}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(dpo_with_margin{.beta = 0.0}),
                  prefer::precondition_error);
  CHECK_NOTHROW(dpo_with_margin{.gamma = -1.0});
}

}  // namespace
