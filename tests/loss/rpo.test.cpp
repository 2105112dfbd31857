// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <prefer/loss/rpo.hpp>

#include "loss/closed_form.hpp"

namespace {

using namespace prefer::test;
using prefer::rpo;

TEST_CASE("rpo: value and derivatives are dpo's and those of the likelihood per token",
          "[loss][rpo]") {
  // The two terms of the value and of chosen's derivative may cancel: floor 1.
  double const beta = 0.5, alpha = 0.25;
  has_closed_form(rpo{.beta = beta, .alpha = alpha},
                  [&](paper_numbers const& n) {
                    long double const z = beta * (n.r_w - n.r_l);
                    return closed_form{sp(-z) - alpha * n.a_w / n.n_w,
                                       -beta * sig(-z) - alpha / n.n_w, beta * sig(-z)};
                  },
                  some_pairs(), {.floor = 1.0});
}

TEST_CASE("rpo: chosen is pulled up however well the pair is ranked", "[loss][rpo]") {
  auto const y = at(rpo{.alpha = 1.0}, pair_with_margin(1e5));
  CHECK(y.chosen == -0.25);  // 1 / 4 tokens
  CHECK(y.rejected == 0.0);
}

TEST_CASE("rpo: parameters out of range are refused", "[loss][rpo]") {
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(rpo{.beta = 0.0}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(rpo{.alpha = -1.0}),
                  prefer::precondition_error);
  CHECK_NOTHROW(rpo{.alpha = 0.0});
}

}  // namespace
