// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <prefer/loss/ln_dpo.hpp>

#include "loss/closed_form.hpp"

namespace {

using namespace prefer::test;
using prefer::ln_dpo;

TEST_CASE("ln_dpo: value and derivatives are the paper's", "[loss][ln_dpo]") {
  double const beta = 4.0;
  has_closed_form(ln_dpo{.beta = beta}, [&](paper_numbers const& n) {
    long double const z = beta * (n.r_w / n.n_w - n.r_l / n.n_l);
    return closed_form{sp(-z), -beta * sig(-z) / n.n_w, beta * sig(-z) / n.n_l};
  });
}

TEST_CASE("ln_dpo: for equal lengths it is dpo with beta over the length", "[loss][ln_dpo]") {
  auto pair = pair_with_log_ratios(3.0, -1.0);
  pair.rejected.completion_length = 4.0;
  CHECK(near(at(ln_dpo{.beta = 2.0}, pair).value, static_cast<double>(sp(-0.5L * 4.0L)), 1e-15));
}

TEST_CASE("ln_dpo: beta out of range is refused", "[loss][ln_dpo]") {
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(ln_dpo{.beta = 0.0}),
                  prefer::precondition_error);
}

}  // namespace
