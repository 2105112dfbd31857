// SPDX-License-Identifier: MIT
#include <prefer/expects.hpp>

#include "bandit.hpp"
#include "problem.hpp"
#include "ratings.hpp"
#include "sequences.hpp"

namespace sweep {

std::unique_ptr<task> make_task(task_options const& options) {
  bool const of_ratings = options.name == "ratings";
  task_options whole = options;
  if (whole.pairs == 0) whole.pairs = of_ratings ? 20000 : 200;
  if (of_ratings) {
    if (options.ratings.empty()) {
      prefer::refuse(
          "--task ratings: give --ratings FILE; scripts/ratings fetches one, "
          ".cache/ml-100k/ml-100k.inter");
    }
    return std::make_unique<ratings>(whole);
  }
  if (options.name == "bandit") return std::make_unique<bandit>(whole.actions, whole.pairs);
  if (options.name == "markov") return std::make_unique<sequences>(whole.pairs);
  prefer::refuse("--task: no task is named \"" + options.name +
                 "\"; known: bandit, markov, ratings");
}

}  // namespace sweep
