// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <prefer/loss/chi_po.hpp>

#include "loss/closed_form.hpp"

namespace {

using namespace prefer::test;
using prefer::chi_po;

TEST_CASE("chi_po: value and derivatives are the paper's", "[loss][chi_po]") {
  // phi(u) = exp(u) + u, phi'(u) = exp(u) + 1; z within +-20. exp(4) times 2^-52 in z: 1e-13.
  double const beta = 0.25;
  has_closed_form(chi_po{.beta = beta, .reward_bound = 10.0},
                  [&](paper_numbers const& n) {
                    auto const phi = [](long double u) { return std::exp(u) + u; };
                    long double const z = beta * (phi(n.r_w) - phi(n.r_l));
                    return closed_form{sp(-z), -beta * sig(-z) * (std::exp(n.r_w) + 1),
                                       beta * sig(-z) * (std::exp(n.r_l) + 1)};
                  },
                  near_pairs(), {.relative = 1e-13});
}

TEST_CASE("chi_po: the bound is on the margin of rewards, beta included", "[loss][chi_po]") {
  // phi of the rejected log-ratio is e^8 + 8 = 2989: z = -2988 / 4, clipped at -2 * 1.5.
  auto const y = at(chi_po{.beta = 0.25, .reward_bound = 1.5}, pair_with_log_ratios(0.0, 8.0));
  CHECK(near(y.value, std::log1p(std::exp(3.0)), 1e-15));
  CHECK(y.chosen == 0.0);
  CHECK(y.rejected == 0.0);
}

TEST_CASE("chi_po: a completion far above its reference is held back by its density ratio",
          "[loss][chi_po]") {
  // Both at the same log-ratio: dpo's slope times 1 + exp(u).
  auto const y = at(chi_po{.beta = 0.25}, pair_with_log_ratios(5.0, 5.0));
  CHECK(near(y.chosen, -0.125 * (1.0 + std::exp(5.0)), 1e-14));
}

TEST_CASE("chi_po: no log-ratio makes it infinite", "[loss][chi_po]") {
  CHECK(near(at(chi_po{}, pair_with_log_ratios(-5e3, 5e3)).value, 20.0, 1e-9));  // sp(20)
  CHECK(near(at(chi_po{}, pair_with_log_ratios(5e3, -5e3)).value, std::exp(-20.0), 1e-8));
  CHECK(at(chi_po{}, pair_with_log_ratios(5e3, 5e3)).value == Approx(std::log(2.0)));
}

TEST_CASE("chi_po: parameters out of range are refused", "[loss][chi_po]") {
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(chi_po{.beta = 0.0}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(chi_po{.reward_bound = 0.0}),
                  prefer::precondition_error);
}

}  // namespace
