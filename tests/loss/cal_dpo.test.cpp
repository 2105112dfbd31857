// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <prefer/loss/cal_dpo.hpp>

#include "loss/closed_form.hpp"

namespace {

using namespace prefer::test;
using prefer::cal_dpo;

TEST_CASE("cal_dpo: value and derivatives are the authors'", "[loss][cal_dpo]") {
  // Terms of the derivatives cancel around the targets: floor 1.
  long double const target = 1 / (2 * 0.25L);
  auto const formula = [&](paper_numbers const& n) {
    long double const m = n.r_w - n.r_l, w = n.r_w - target, l = n.r_l + target;
    return closed_form{sp(-m) + (w * w + l * l) / 2, -sig(-m) + w, sig(-m) + l};
  };
  has_closed_form(cal_dpo{.beta = 0.25}, formula, some_pairs(), {.floor = 1.0});
}

TEST_CASE("cal_dpo: beta moves the targets and not the comparison", "[loss][cal_dpo]") {
  // Half a nat of target: with both completions on it, what is left is log(1 + exp(-1)).
  CHECK(near(at(cal_dpo{.beta = 1.0}, pair_with_log_ratios(0.5, -0.5)).value,
             std::log1p(std::exp(-1.0)), 1e-15));
  CHECK(at(cal_dpo{.beta = 0.001}, pair_with_log_ratios(500.0, -500.0)).value == 0.0);
}

TEST_CASE("cal_dpo: unlike dpo it lets no log-ratio run away", "[loss][cal_dpo]") {
  auto const y = at(cal_dpo{.beta = 0.25}, pair_with_log_ratios(40.0, -40.0));
  CHECK(near(y.chosen, 38.0, 1e-15));  // back to the target of 2
  CHECK(near(y.rejected, -38.0, 1e-15));
}

TEST_CASE("cal_dpo: beta out of range is refused", "[loss][cal_dpo]") {
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(cal_dpo{.beta = 0.0}),
                  prefer::precondition_error);
}

}  // namespace
