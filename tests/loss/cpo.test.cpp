// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <prefer/loss/compose.hpp>
#include <prefer/loss/cpo.hpp>
#include <prefer/loss/nll.hpp>
#include <prefer/loss/simpo.hpp>

#include "loss/closed_form.hpp"

namespace {

using namespace prefer::test;
using prefer::cpo;
using prefer::cpo_simpo;

TEST_CASE("cpo: value and derivatives are the paper's, per token", "[loss][cpo]") {
  // The value's terms may cancel where log_prob is positive, which our points are: floor 1.
  double const beta = 0.5, alpha = 0.25;
  has_closed_form(cpo{.beta = beta, .alpha = alpha},
                  [&](paper_numbers const& n) {
                    long double const z = beta * (n.a_w - n.a_l);
                    return closed_form{sp(-z) - alpha * n.a_w / n.n_w,
                                       -beta * sig(-z) - alpha / n.n_w, beta * sig(-z)};
                  },
                  some_pairs(), {.floor = 1.0});
}

TEST_CASE("cpo: label smoothing is the two-term form", "[loss][cpo]") {
  double const e = 0.125;
  has_closed_form(cpo{.beta = 0.5, .alpha = 0.0, .label_smoothing = e},
                  [&](paper_numbers const& n) {
                    long double const z = 0.5L * (n.a_w - n.a_l);
                    return of_margin((1 - e) * sp(-z) + e * sp(z), sig(z) - (1 - e), 0.5);
                  },
                  some_pairs(), {.floor = 1.0});
}

TEST_CASE("cpo_simpo: it is simpo and the likelihood per token", "[loss][cpo]") {
  auto const sum = prefer::simpo{.beta = 2.0, .gamma = 0.5} + 0.25 * prefer::nll_per_token{};
  for (auto const& pair : near_pairs()) {
    auto const whole = at(cpo_simpo{.beta = 2.0, .gamma = 0.5, .alpha = 0.25}, pair);
    auto const parts = at(sum, pair);
    CHECK(near(whole.value, parts.value, 1e-14));
    CHECK(near(whole.chosen, parts.chosen, 1e-14));
    CHECK(near(whole.rejected, parts.rejected, 1e-14));
  }
}

TEST_CASE("cpo: parameters out of range are refused", "[loss][cpo]") {
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(cpo{.beta = 0.0}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(cpo{.alpha = -1.0}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(cpo{.label_smoothing = 0.5}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(cpo_simpo{.beta = 0.0}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(cpo_simpo{.alpha = -1.0}),
                  prefer::precondition_error);
}

}  // namespace
