// SPDX-License-Identifier: MIT
// Compiled once with each version's headers; ANSWER is the name of the function.
#include "two_versions.hpp"

#include <prefer/loss/hinge.hpp>
#include <prefer/objective/evaluate.hpp>
#include <prefer/version.hpp>
#include <vector>

answer ANSWER() {
  std::vector<double> const chosen = {-3.0, -7.5};
  std::vector<double> const rejected = {-4.0, -2.0};
  auto const result =
      prefer::evaluate(prefer::hinge{.beta = 2.0},
                       prefer::pair_columns{.policy = {.chosen = chosen, .rejected = rejected},
                                            .reference = {.chosen = chosen, .rejected = rejected}});
  return {result.loss, prefer::version().minor_number, sizeof(prefer::hinge)};
}
