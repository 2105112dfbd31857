// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <prefer/loss/r_dpo.hpp>

#include "loss/closed_form.hpp"

namespace {

using namespace prefer::test;
using prefer::r_dpo;

TEST_CASE("r_dpo: value and derivatives are the paper's", "[loss][r_dpo]") {
  double const beta = 0.5, alpha = 0.125;
  has_closed_form(r_dpo{.beta = beta, .alpha = alpha}, [&](paper_numbers const& n) {
    long double const z = beta * (n.r_w - n.r_l) + alpha * (n.n_w - n.n_l);
    return of_margin(sp(-z), -sig(-z), beta);
  });
}

TEST_CASE("r_dpo: a longer chosen completion asks for less of the policy, a shorter one for more",
          "[loss][r_dpo]") {
  auto longer = pair_with_margin(0.0), shorter = longer;
  longer.chosen.completion_length = 9.0;   // 4 more than rejected
  shorter.chosen.completion_length = 1.0;  // 4 fewer
  auto const loss = r_dpo{.alpha = 0.25};
  CHECK(near(at(loss, longer).value, std::log1p(std::exp(-1.0)), 1e-15));
  CHECK(near(at(loss, shorter).value, std::log1p(std::exp(1.0)), 1e-15));
  CHECK(std::fabs(at(loss, longer).chosen) < std::fabs(at(loss, shorter).chosen));
}

TEST_CASE("r_dpo: beta out of range is refused, any alpha is taken", "[loss][r_dpo]") {
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(r_dpo{.beta = 0.0}),
                  prefer::precondition_error);
  CHECK_NOTHROW(r_dpo{.alpha = -0.1});
}

}  // namespace
