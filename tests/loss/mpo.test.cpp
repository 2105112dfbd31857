// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <prefer/loss/bco.hpp>
#include <prefer/loss/compose.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/mpo.hpp>
#include <prefer/loss/nll.hpp>

#include "loss/closed_form.hpp"

namespace {

using namespace prefer::test;
using prefer::mpo;

TEST_CASE("mpo: value and derivatives are the paper's", "[loss][mpo]") {
  double const beta = 0.5;
  has_closed_form(mpo{.beta = beta, .preference = 0.75, .quality = 0.25, .generation = 2.0},
                  [&](paper_numbers const& n) {
                    long double const w = beta * n.r_w, l = beta * n.r_l;
                    return closed_form{0.75L * sp(l - w) + (sp(-w) + sp(l)) / 4 - 2 * n.a_w / n.n_w,
                                       -beta * (0.75L * sig(l - w) + sig(-w) / 4) - 2 / n.n_w,
                                       beta * (0.75L * sig(l - w) + sig(l) / 4)};
                  },
                  some_pairs(), {.floor = 1.0});  // the value's terms may cancel
}

TEST_CASE("mpo: its defaults are 0.8 dpo + 0.2 bco_pair + nll_per_token", "[loss][mpo]") {
  auto const sum = 0.8 * prefer::dpo{} + 0.2 * prefer::bco_pair{} + 1.0 * prefer::nll_per_token{};
  for (auto const& pair : near_pairs()) {
    auto const whole = at(mpo{}, pair);
    auto const parts = at(sum, pair);
    CHECK(near(whole.value, parts.value, 1e-14));
    CHECK(near(whole.chosen, parts.chosen, 1e-14));
    CHECK(near(whole.rejected, parts.rejected, 1e-14));
  }
}

TEST_CASE("mpo: parameters out of range are refused", "[loss][mpo]") {
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(mpo{.beta = 0.0}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(mpo{.preference = -1.0}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(mpo{.quality = -1.0}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(mpo{.generation = -1.0}),
                  prefer::precondition_error);
}

}  // namespace
