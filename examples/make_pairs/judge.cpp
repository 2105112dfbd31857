// SPDX-License-Identifier: MIT
#include "judge.hpp"

#include <cstddef>
#include <vector>

#include <scoring/scorers.hpp>

#include <prefer/expects.hpp>
#include <prefer/file/fingerprint.hpp>

#include "../program/arguments.hpp"
#include "../program/kept.hpp"
#include "../program/signals.hpp"

namespace make_pairs {

void add_judge_options(CLI::App& app, judge_options& given) {
  sample::add_scorer_options(app, given.scorer,
                             "A judge: sentiment, lengths or reward:FOLDER [sentiment]");
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
  scorer.expect_sense();
  if (scorer.name.empty() || command.empty()) return;
  prefer::refuse("give one of --scorer and --scorer-command");
}

judge::judge(judge_options const& by, language::model_options const& writer)
    : command_(by.command) {
  by.expect_one();
  auto scorer = by.scorer;
  if (scorer.name.empty() && command_.empty()) scorer.name = "sentiment";
  if (!scorer.name.empty()) scorer_ = sample::open_scorer(scorer, writer);
}

void judge::expect_room(std::span<prefer::data::turns const> prompts, std::size_t most) const {
  if (scorer_) scorer_->expect_room(prompts, most);
}

std::uint64_t judge::identity() const {
  if (scorer_) return scorer_->identity();
  return prefer::fingerprint().add(command_).value();
}

void judge::score(std::span<sample::answers> all) {
  std::vector<sample::unscored> completions;
  std::vector<std::string> rows;
  for (auto& each : all) {
    for (auto& one : each.completions) {
      one.score.reset();  // of a file, whoever gave it: the judge here decides
      completions.push_back({&each.prompt, &one});
      if (!scorer_) rows.push_back(to_json(each.prompt, one));
    }
  }
  if (scorer_) return scorer_->score(completions);
  auto const scores = scoring::scores_by_command(command_, rows);
  if (program::interrupted) throw program::stop();
  for (std::size_t i = 0; i != completions.size(); ++i) completions[i].what->score = scores[i];
}

}  // namespace make_pairs
