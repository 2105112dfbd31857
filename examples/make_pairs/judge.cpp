// SPDX-License-Identifier: MIT
#include "judge.hpp"

#include <cstddef>
#include <vector>

#include <scoring/scorers.hpp>

#include <prefer/expects.hpp>

#include "../program/arguments.hpp"
#include "../program/kept.hpp"
#include "../program/signals.hpp"

namespace make_pairs {

void add_judge_options(CLI::App& app, judge_options& given) {
  app.add_option("--scorer", given.scorer, "A judge that is built in; sentiment if none is given")
      ->check(program::one_of(scoring::scorer_names()));
  app.add_option("--scorer-command", given.command, "A judge that is a shell command")
      ->type_name("CMD")
      ->check(program::not_empty("a command"));
  app.add_option("--min-margin", given.min_margin, "Scores that are no further apart are a tie")
      ->check(program::non_negative_and_finite())
      ->capture_default_str();
  app.add_flag("--keep-unfinished", given.keep_unfinished,
               "Keep completions that were cut at --max-tokens");
}

void judge_options::expect_one() const {
  if (scorer.empty() || command.empty()) return;
  prefer::refuse("give one of --scorer and --scorer-command");
}

void score(judge_options const& by, std::span<sample::answers> all) {
  by.expect_one();
  std::vector<sample::completion*> completions;
  std::vector<std::string> rows;
  for (auto& each : all) {
    for (auto& one : each.completions) {
      one.score.reset();  // of a file, whoever gave it: the judge here decides
      completions.push_back(&one);
      if (!by.command.empty()) rows.push_back(to_json(each.prompt, one));
    }
  }
  if (by.command.empty()) {
    auto const scorer = scoring::scorer_named(by.scorer.empty() ? "sentiment" : by.scorer);
    for (auto* one : completions) one->score = scorer(one->text);
    return;
  }
  auto const scores = scoring::scores_by_command(by.command, rows);
  if (program::interrupted) throw program::stop();
  for (std::size_t i = 0; i != completions.size(); ++i) completions[i]->score = scores[i];
}

}  // namespace make_pairs
