// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <prefer/loss/bradley_terry.hpp>

#include "loss/closed_form.hpp"

namespace {

using namespace prefer::test;
using prefer::bradley_terry;

TEST_CASE("bradley_terry: value and derivatives are the papers', margin and centering included",
          "[loss][bradley_terry]") {
  double const mar = 0.75, eta = 0.125;
  has_closed_form(bradley_terry{.margin = mar, .centering = eta},
                  [&](paper_numbers const& n) {
                    long double const z = n.a_w - n.a_l - mar, sum = n.a_w + n.a_l;
                    return closed_form{sp(-z) + eta * sum * sum, -sig(-z) + 2 * eta * sum,
                                       sig(-z) + 2 * eta * sum};
                  },
                  some_pairs(), {.floor = 1.0});
}

TEST_CASE("bradley_terry: a constant added to both scores changes nothing but centering",
          "[loss][bradley_terry]") {
  auto pair = pair_with_margin(0.0), shifted = pair;
  shifted.chosen.log_prob += 7.0;
  shifted.rejected.log_prob += 7.0;
  CHECK(at(bradley_terry{}, pair).value == at(bradley_terry{}, shifted).value);
  shifted.chosen.log_prob = 5.0;
  shifted.rejected.log_prob = -5.0;  // centred, and as far apart as pair
  CHECK(near(at(bradley_terry{.centering = 0.01}, pair).value -
                 at(bradley_terry{.centering = 0.01}, shifted).value,
             0.01 * 2500.0, 1e-14));
}

TEST_CASE("bradley_terry: a pair's own margin replaces the loss's", "[loss][bradley_terry]") {
  auto pair = pair_with_margin(0.0);
  auto const expected = at(bradley_terry{.margin = 1.0 / 3.0}, pair).value;
  pair.pair_target_margin = {true, 1.0 / 3.0};
  CHECK(at(bradley_terry{}, pair).value == expected);
}

TEST_CASE("bradley_terry: parameters out of range are refused", "[loss][bradley_terry]") {
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(bradley_terry{.centering = -0.01}),
                  prefer::precondition_error);
}

}  // namespace
