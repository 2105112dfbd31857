// SPDX-License-Identifier: MIT
// What every consumer here builds: prints the loss of two pairs whose policy equals the reference,
// log 2.
#include <cstdio>
#include <prefer/prefer.hpp>
#include <vector>

int main() {
  std::vector<double> const chosen = {-3.0, -7.5};
  std::vector<double> const rejected = {-4.0, -2.0};
  auto const result =
      prefer::evaluate(prefer::dpo{.beta = 0.1},
                       prefer::pair_columns{.policy = {.chosen = chosen, .rejected = rejected},
                                            .reference = {.chosen = chosen, .rejected = rejected}});
  std::printf("%.12f\n", result.loss);
}
