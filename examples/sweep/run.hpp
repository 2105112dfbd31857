// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "grid.hpp"
#include "objective.hpp"
#include "problem.hpp"

namespace sweep {

/// What came out at one number of steps.
struct measurement {
  std::uint64_t steps = 0;
  judgement quality;
};

/// Trains on one problem from its start policy, by full-batch descent; one measurement at each of grid.steps. `seed`
/// addresses what a loss draws at random.
[[nodiscard]] std::vector<measurement> run(grid const& all, setting const& what, task const& of,
                                           problem const& given, std::uint64_t seed,
                                           step_rule const& rule);

/// The same, and `look(steps, policy)` measures.
void run(grid const& all, setting const& what, task const& of, problem const& given,
         std::uint64_t seed, step_rule const& rule,
         std::function<void(std::uint64_t, learner&)> const& look);

}  // namespace sweep
