// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <numbers>

#include <prefer/loss/dpo.hpp>

#include "loss/one_pair.hpp"
#include "support/near.hpp"

namespace {

using namespace prefer::test;
using prefer::dpo;

TEST_CASE("dpo: loss is log 2 when policy equals reference", "[loss][dpo]") {
  auto const y = at(dpo{.beta = 0.3}, pair_with_margin(0.0));
  CHECK(near(y.value, std::numbers::ln2, 1e-15));  // sigmoid(0) = 1/2 whatever beta is
  CHECK(y.chosen == -0.15);                        // -beta * sigmoid(0)
  CHECK(y.rejected == 0.15);
}

TEST_CASE("dpo: hand-computed point", "[loss][dpo]") {
  // z = 0.5 * 2 ln 3 = ln 3: sigmoid(z) = 3/4, loss = ln(4/3), slope = -0.5 * 1/4.
  auto const y = at(dpo{.beta = 0.5}, pair_with_margin(2.0 * std::log(3.0)));
  CHECK(near(y.value, std::log(4.0 / 3.0), 1e-14));
  CHECK(near(y.chosen, -0.125, 1e-14));
  CHECK(near(y.rejected, 0.125, 1e-14));
}

TEST_CASE("dpo: label smoothing is the two-term form", "[loss][dpo]") {
  for (double const margin : {-30.0, -2.0, 0.0, 0.7, 25.0}) {
    double const e = 0.2;
    double const z = 0.1 * margin;
    double const two_terms = -(1.0 - e) * -std::log1p(std::exp(-z)) - e * -std::log1p(std::exp(z));
    CHECK(near(at(dpo{.beta = 0.1, .label_smoothing = e}, pair_with_margin(margin)).value,
               two_terms, 1e-14));
  }
}

TEST_CASE(
    "dpo: with label smoothing the loss is least where sigmoid is the probability of a true label",
    "[loss][dpo]") {
  // d/dz = e - sigmoid(-z) = 0 at z = log((1 - e) / e).
  auto const y = at(dpo{.beta = 1.0, .label_smoothing = 0.2}, pair_with_margin(std::log(4.0)));
  CHECK(std::fabs(y.chosen) < 1e-15);
}

TEST_CASE("dpo: extreme margins have their limits", "[loss][dpo]") {
  auto const wrong = at(dpo{.beta = 0.5}, pair_with_margin(-1e4));  // loss -> -z, slope -> -beta
  CHECK(wrong.value == 5000.0);
  CHECK(wrong.chosen == -0.5);
  auto const right = at(dpo{.beta = 0.5}, pair_with_margin(1e4));
  CHECK(right.value == 0.0);
  CHECK(right.chosen == 0.0);
  // Far before the loss vanishes the slope is still the exact small number.
  CHECK(near(at(dpo{.beta = 1.0}, pair_with_margin(600.0)).chosen, -std::exp(-600.0), 1e-14));
}

TEST_CASE("dpo: a pair's own beta replaces the loss's", "[loss][dpo]") {
  auto pair = pair_with_margin(3.0);
  auto const expected = at(dpo{.beta = 0.7}, pair);
  pair.pair_beta = {true, 0.7};
  CHECK(at(dpo{.beta = 0.1}, pair).value == expected.value);
}

TEST_CASE("dpo: parameters out of range are refused", "[loss][dpo]") {
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(dpo{.beta = 0.0}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(dpo{.beta = -0.1}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(dpo{.beta = std::nan("")}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(dpo{.beta = INFINITY}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(dpo{.label_smoothing = 0.5}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(dpo{.label_smoothing = -0.01}),
                  prefer::precondition_error);
  CHECK_NOTHROW(dpo{.beta = 1e-6, .label_smoothing = 0.499});
}

}  // namespace
