// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/objective/evaluate.hpp>

#include "../exact.hpp"

namespace sweep {

/// How far a mean loss over pairs is descended, by all pairs at each step.
struct descent {
  double step = 1.0;
  std::uint64_t steps = 200;
  std::size_t drawn =
      0;  ///< pairs that the mean divides by: more than there are where two equal completions were drawn
};

/// Plain gradient descent of a loss over pairs, as the sweeps over losses have it. `reference` has the log_prob of the pairs'
/// completions, chosen and rejected side by side; it may be empty for a loss that reads none.
template <class M, class L>
void descend(M& model, L const& loss, prefer::choice_data const& pairs, numbers const& reference,
             descent const& how) {
  std::size_t const n = pairs.size();
  if (n == 0) return;
  auto const parameters = model.parameters();
  numbers said(2 * n), coefficient(2 * n);
  sides policy{.chosen = numbers(n), .rejected = numbers(n)};
  sides held = policy;
  auto const split = [n](numbers const& from, sides& to) {
    for (std::size_t i = 0; i < n; ++i) {
      to.chosen[i] = from[2 * i];
      to.rejected[i] = from[2 * i + 1];
    }
  };
  if (!reference.empty()) split(reference, held);
  double const share = static_cast<double>(n) / static_cast<double>(how.drawn);
  for (std::uint64_t s = 0; s < how.steps; ++s) {
    model.log_prob(pairs.batch(), std::span<double>(said));
    split(said, policy);
    prefer::pair_columns columns{.policy = {.chosen = policy.chosen, .rejected = policy.rejected}};
    if (!reference.empty()) {
      columns.reference = {.chosen = held.chosen, .rejected = held.rejected};
    }
    auto const slope = prefer::evaluate(loss, columns);
    for (std::size_t i = 0; i < n; ++i) {
      coefficient[2 * i] = share * slope.coefficient.chosen[i];
      coefficient[2 * i + 1] = share * slope.coefficient.rejected[i];
    }
    for (auto const& each : parameters) {
      for (double& g : each.gradient) g = 0.0;
    }
    model.backward(pairs.batch(), std::span<double const>(coefficient));
    if constexpr (requires { model.finish_backward(); }) model.finish_backward();
    for (auto const& each : parameters) {
      for (std::size_t i = 0; i < each.value.size(); ++i) {
        each.value[i] -= how.step * each.gradient[i];
      }
    }
  }
}

}  // namespace sweep
