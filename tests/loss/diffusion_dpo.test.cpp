// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <prefer/loss/diffusion_dpo.hpp>
#include <prefer/loss/dpo.hpp>

#include "loss/closed_form.hpp"

namespace {

using namespace prefer::test;
using prefer::diffusion_dpo;

TEST_CASE("diffusion_dpo: value and derivatives are the authors', on minus the errors",
          "[loss][diffusion_dpo]") {
  // inside = -beta / 2 * ((E_w - E_l) - (E_w_ref - E_l_ref)), E = -log_prob.
  double const beta = 0.5;
  has_closed_form(diffusion_dpo{.beta = beta}, [&](paper_numbers const& n) {
    long double const e_w = -n.a_w, e_l = -n.a_l, e_w_ref = -(n.a_w - n.r_w),
                      e_l_ref = -(n.a_l - n.r_l);
    long double const inside = -0.5L * beta * ((e_w - e_l) - (e_w_ref - e_l_ref));
    return of_margin(sp(-inside), -sig(-inside), beta / 2);
  });
}

TEST_CASE("diffusion_dpo: it is dpo with half of beta", "[loss][diffusion_dpo]") {
  for (auto const& pair : near_pairs()) {
    auto const y = at(diffusion_dpo{.beta = 5000.0}, pair);
    auto const d = at(prefer::dpo{.beta = 2500.0}, pair);
    CHECK(y.value == d.value);
    CHECK(y.chosen == d.chosen);
  }
}

TEST_CASE("diffusion_dpo: beta out of range is refused", "[loss][diffusion_dpo]") {
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(diffusion_dpo{.beta = 0.0}),
                  prefer::precondition_error);
}

}  // namespace
