// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <prefer/loss/robust_dpo.hpp>

#include "loss/closed_form.hpp"

namespace {

using namespace prefer::test;
using prefer::robust_dpo;

TEST_CASE("robust_dpo: value and derivatives are the paper's", "[loss][robust_dpo]") {
  // ((1 - e) sp(-z) - e sp(z)) / (1 - 2e), and sigmoid(z) - (1 - e) / (1 - 2e). The value has a root: floor 1.
  double const beta = 0.5, e = 0.125;
  has_closed_form(robust_dpo{.beta = beta, .label_smoothing = e},
                  [&](paper_numbers const& n) {
                    long double const z = beta * (n.r_w - n.r_l);
                    return of_margin(((1 - e) * sp(-z) - e * sp(z)) / (1 - 2 * e),
                                     -sig(-z) - e / (1 - 2 * e), beta);
                  },
                  some_pairs(), {.floor = 1.0});
}

TEST_CASE(
    "robust_dpo: it is unbiased: labels flipped with probability e give dpo's loss on clean labels",
    "[loss][robust_dpo]") {
  auto const loss = robust_dpo{.beta = 0.5, .label_smoothing = 0.25};
  for (double const margin : {-60.0, -3.0, 0.0, 5.0, 70.0}) {
    double const kept = at(loss, pair_with_margin(margin)).value;
    double const flipped = at(loss, pair_with_margin(-margin)).value;
    CHECK(near(0.75 * kept + 0.25 * flipped, static_cast<double>(sp(-0.5L * margin)), 1e-13, 1.0));
  }
}

TEST_CASE("robust_dpo: the loss is unbounded below, with a slope of -e / (1 - 2e) at the end",
          "[loss][robust_dpo]") {
  auto const y = at(robust_dpo{.beta = 1.0, .label_smoothing = 0.1}, pair_with_margin(500.0));
  CHECK(near(y.value, -62.5, 1e-14));    // -(0.1 / 0.8) * 500
  CHECK(near(y.chosen, -0.125, 1e-14));  // still pulling
  CHECK(at(robust_dpo{.beta = 1.0}, pair_with_margin(1e6)).value < -1e5);
}

TEST_CASE("robust_dpo: parameters out of range are refused", "[loss][robust_dpo]") {
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(robust_dpo{.beta = 0.0}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(robust_dpo{.label_smoothing = 0.5}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(robust_dpo{.label_smoothing = -0.1}),
                  prefer::precondition_error);
}

}  // namespace
