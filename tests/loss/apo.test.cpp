// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <prefer/loss/apo.hpp>

#include "loss/closed_form.hpp"
#include "loss/one_example.hpp"

namespace {

using namespace prefer::test;
using prefer::apo_down;
using prefer::apo_zero;
using prefer::apo_zero_unpaired;

long double slope_of_sig(long double x) { return sig(x) * sig(-x); }

TEST_CASE("apo_zero: value and derivatives are the paper's", "[loss][apo]") {
  // 1 - sigmoid(u_w) + sigmoid(u_l)
  double const beta = 0.5;
  has_closed_form(apo_zero{.beta = beta}, [&](paper_numbers const& n) {
    long double const w = beta * n.r_w, l = beta * n.r_l;
    return closed_form{sig(-w) + sig(l), -beta * slope_of_sig(w), beta * slope_of_sig(l)};
  });
}

TEST_CASE("apo_down: value and derivatives are the paper's", "[loss][apo]") {
  // sigmoid(u_w) + 1 - sigmoid(z). The derivative by chosen is a difference, which may cancel: floor 1e-2.
  double const beta = 0.5;
  auto const formula = [&](paper_numbers const& n) {
    long double const w = beta * n.r_w, z = beta * (n.r_w - n.r_l);
    return closed_form{sig(w) + sig(-z), beta * (slope_of_sig(w) - slope_of_sig(z)),
                       beta * slope_of_sig(z)};
  };
  has_closed_form(apo_down{.beta = beta}, formula, some_pairs(), {.floor = 1e-2});
}

TEST_CASE("apo_down: at the reference the coefficient of chosen is 0", "[loss][apo]") {
  auto const y = at(apo_down{.beta = 0.5}, pair_with_margin(0.0));
  CHECK(y.value == 1.0);
  CHECK(y.chosen == 0.0);
  CHECK(y.rejected == 0.125);  // beta / 4
}

TEST_CASE("apo_zero: both coefficients are at most beta / 4, and there only at the reference",
          "[loss][apo]") {
  auto const start = at(apo_zero{.beta = 0.5}, pair_with_margin(0.0));
  CHECK(start.value == 1.0);
  CHECK(start.chosen == -0.125);
  CHECK(start.rejected == 0.125);
  for (auto const& pair : some_pairs()) {
    auto const y = at(apo_zero{.beta = 0.5}, pair);
    CHECK((y.chosen <= 0.0 && y.chosen >= -0.125 && y.rejected >= 0.0 && y.rejected <= 0.125));
  }
}

TEST_CASE("apo_zero: who was compared with whom does not matter", "[loss][apo]") {
  auto const loss = apo_zero{.beta = 0.5};
  double const one_way = at(loss, pair_with_log_ratios(1.0, -2.0)).value +
                         at(loss, pair_with_log_ratios(-0.5, 3.0)).value;
  double const other_way = at(loss, pair_with_log_ratios(1.0, 3.0)).value +
                           at(loss, pair_with_log_ratios(-0.5, -2.0)).value;
  CHECK(near(one_way, other_way, 1e-15));
}

TEST_CASE("apo_zero_unpaired: it is each half of apo_zero, times its weight", "[loss][apo]") {
  auto const loss =
      apo_zero_unpaired{.beta = 0.5, .desirable_weight = 3.0, .undesirable_weight = 0.25};
  for (double const r : {-1200.0, -3.0, 0.0, 0.75, 60.0}) {
    CAPTURE(r);
    long double const u = 0.5L * r;
    auto const good = at_example(loss, {r, true});
    CHECK(near(good.value, static_cast<double>(3 * sig(-u)), 1e-14, 1e-300));
    CHECK(near(good.slope, static_cast<double>(-1.5L * slope_of_sig(u)), 1e-14, 1e-300));
    auto const bad = at_example(loss, {r, false});
    CHECK(near(bad.value, static_cast<double>(sig(u) / 4), 1e-14, 1e-300));
    CHECK(near(bad.slope, static_cast<double>(slope_of_sig(u) / 8), 1e-14, 1e-300));
  }
}

TEST_CASE("apo: parameters out of range are refused", "[loss][apo]") {
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(apo_zero{.beta = 0.0}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(apo_down{.beta = 0.0}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(apo_zero_unpaired{.beta = 0.0}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(
      prefer::expects_hyper_parameters_in_range(apo_zero_unpaired{.desirable_weight = -1.0}),
      prefer::precondition_error);
  CHECK_THROWS_AS(
      prefer::expects_hyper_parameters_in_range(apo_zero_unpaired{.undesirable_weight = -1.0}),
      prefer::precondition_error);
}

}  // namespace
