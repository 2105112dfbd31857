// SPDX-License-Identifier: MIT
#include <cmath>

#include <catch2/catch.hpp>

#include <prefer/loss/grpo.hpp>

#include "loss/policy_gradients.hpp"

TEST_CASE("grpo: its KL term pulls by that of KL(reference || policy)", "[loss][grpo]") {
  // With an advantage of 0 the slope is beta * (1 - exp(reference - policy)).
  double const at_half = -1.0 - std::log(2.0);
  auto const y = prefer::test::slopes_at(prefer::grpo{.beta = 0.5},
                                         {.log_prob = -1.0, .reference = at_half, .score = 0.0});
  CHECK(y.by_log_prob == Approx(0.5 * (1.0 - 0.5)));
  CHECK(y.value == Approx(0.5 * (0.5 - 1.0 + std::log(2.0))));
  CHECK(prefer::test::slopes_at(prefer::grpo{}, {.score = 0.0}).by_log_prob == 0.0);
}
