// SPDX-License-Identifier: MIT
#include <prefer/expects.hpp>

#include "bandit.hpp"
#include "problem.hpp"
#include "sequences.hpp"

namespace sweep {

std::unique_ptr<task> make_task(task_options const& options) {
  if (options.name == "bandit") return std::make_unique<bandit>(options.actions, options.pairs);
  if (options.name == "markov") return std::make_unique<sequences>(options.pairs);
  prefer::detail::broken("--task: no task is named \"" + options.name +
                         "\"; known: bandit, markov");
}

}  // namespace sweep
