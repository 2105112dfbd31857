// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <prefer/loss/slic_hf.hpp>

#include "loss/closed_form.hpp"

namespace {

using namespace prefer::test;
using prefer::slic_hf;

TEST_CASE("slic_hf: value and derivatives are the paper's, with the chosen completion as target",
          "[loss][slic_hf]") {
  double const delta = 1.5, lambda = 0.25;
  has_closed_form(slic_hf{.margin = delta, .lambda = lambda},
                  [&](paper_numbers const& n) {
                    long double const left = delta - n.a_w + n.a_l, active = left > 0 ? 1 : 0;
                    return closed_form{active * left - lambda * n.a_w / n.n_w,
                                       -active - lambda / n.n_w, active};
                  },
                  some_pairs(), {.floor = 1.0});
}

TEST_CASE("slic_hf: from the margin on only the likelihood pulls, the kink included",
          "[loss][slic_hf]") {
  auto const y = at(slic_hf{.margin = 10.0, .lambda = 0.0}, pair_with_margin(0.0));  // -20 and -30
  CHECK(y.value == 0.0);
  CHECK(y.chosen == 0.0);
  CHECK(at(slic_hf{.margin = 10.5, .lambda = 0.0}, pair_with_margin(0.0)).chosen == -1.0);
}

TEST_CASE("slic_hf: the reference is not read; a pair's own margin replaces the loss's",
          "[loss][slic_hf]") {
  CHECK(prefer::needs<slic_hf> == (prefer::column_name::policy | prefer::column_name::length));
  auto pair = pair_with_margin(0.0);
  pair.pair_target_margin = {true, 12.0};
  CHECK(at(slic_hf{.lambda = 0.0}, pair).value == 2.0);
}

TEST_CASE("slic_hf: parameters out of range are refused", "[loss][slic_hf]") {
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(slic_hf{.lambda = -0.1}),
                  prefer::precondition_error);
}

}  // namespace
