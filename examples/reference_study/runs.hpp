// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "../language/statistics.hpp"

namespace reference_study {

/// One tuned model: what it was held near, and what came of it on held-out prompts and pairs.
struct run {
  std::string reference;
  double beta = 0.0;
  std::size_t seed = 0;
  language::mean_of_rows score = {};  ///< of sampled endings, by the judge of words
  language::mean_of_rows kl = {};     ///< from the start, nats an ending
  language::mean_of_rows accuracy =
      {};  ///< of held-out pairs, by the reward beside the run's own reference
  language::mean_of_rows reward_chosen = {};  ///< the same reward of the chosen endings, nats
  language::mean_of_rows accuracy_from_start =
      {};  ///< of the same pairs, by the log-ratio to the start
  language::mean_of_rows chosen_from_start = {};  ///< that log-ratio of the chosen endings, nats
  language::mean_of_rows tokens = {};             ///< of an ending
  language::mean_of_rows ended = {};              ///< share of endings that the model ended itself
};

/// The runs below `folder`, REFERENCE/beta-BETA/seed-SEED each with `summary.json` of tune, `scored.json` of score and
/// `sampled.json` of sample, in the order of the study: references as given, betas ascending, seeds ascending; and `start.json` of sample beside them, what the
/// model wrote before any tuning.
/// Errors  no such folder, no run, a file that is not one of those programs': a sentence with its path. A folder without all three
///         files is a run that is not finished: left out, and named in `unfinished`.
struct found_runs {
  std::vector<run> runs;
  std::vector<std::string> unfinished;
  language::mean_of_rows start_score = {};
  language::mean_of_rows start_tokens = {};
};
[[nodiscard]] found_runs read_runs(std::string const& folder,
                                   std::vector<std::string> const& references);

/// The seeds of one setting as one: the mean of their means. Its standard error takes the seeds' errors over prompts for
/// independent, though all judge by the same prompts; how far seeds differ stands in the CSV.
[[nodiscard]] run mean_of_seeds(std::vector<run> const& seeds);

/// The settings, each as the mean of its seeds.
[[nodiscard]] std::vector<run> settings_of(std::vector<run> const& runs);

}  // namespace reference_study
