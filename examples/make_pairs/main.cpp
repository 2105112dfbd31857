// SPDX-License-Identifier: MIT
//
// make_pairs: preference pairs of completions that a language model writes itself. See --help.
#include <cstddef>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <scoring/scorers.hpp>

#include <prefer/data/preference.hpp>
#include <prefer/file/atomic_file.hpp>
#include <prefer/file/writable.hpp>

#include "../findings.hpp"
#include "../program.hpp"
#include "../sample/completions.hpp"
#include "../sample/language_writer.hpp"
#include "../sample/prompts.hpp"
#include "../sample/writing.hpp"
#include "judge.hpp"
#include "ranking.hpp"

namespace {

constexpr char const* description =
    R"(Preference pairs from a model's own completions: several are drawn for each
prompt, a judge scores them, and the best is preferred to the worst.

The judge is one of three:
  --scorer NAME          built in, sentiment or lengths, or a reward model,
                         reward:FOLDER; see below
  --scores FILE          your numbers, one a line, in the order of --completions
  --scorer-command CMD   your program: it reads the completions as JSON lines
                         ({"prompt", "completion", ...}) and writes a number, or
                         an object with "score", for each
)";

constexpr char const* examples =
    R"(Examples:
  make_pairs --model model.gguf --prompts prompts.txt --n 8 --scorer sentiment \
    --output pairs.jsonl
  sample --model model.gguf --prompts prompts.txt --n 4 --output completions.jsonl
  make_pairs --completions completions.jsonl --scores scores.txt --output pairs.jsonl
  make_pairs --completions completions.jsonl --scorer-command ./judge --rows all
  tune --model model.gguf --data pairs.jsonl --reward-model --out rm
  make_pairs --model model.gguf --prompts prompts.txt --scorer reward:rm --output ranked.jsonl

Iterative DPO, two rounds, each from the model that was tuned before and held near it
(tune --rounds 2 does the same):
  make_pairs --model m.gguf --prompts p.txt --output pairs1.jsonl
  tune --model m.gguf --data pairs1.jsonl --out round1
  make_pairs --model m.gguf --adapter round1/adapter --prompts p.txt --seed 2 \
    --output pairs2.jsonl
  tune --model m.gguf --adapter round1/adapter --data pairs2.jsonl --out round2

--rows best-worst   {"prompt", "chosen", "rejected", "score_chosen", "score_rejected"},
                    one row for each prompt
       all          such a row for every two that are more than --min-margin apart
       list         {"prompt", "completions", "scores"}, the best first

Left out and counted: completions that are empty, that equal an earlier one, or that
did not end by themselves (--keep-unfinished keeps them, and training will take their
cut for the end); prompts whose completions are all equally good.

)";

struct arguments {
  language::model_options model;
  sample::prompt_options prompts;
  sample::writing_options writing;
  std::string completions;
  std::string scores;
  make_pairs::judge_options judge;
  std::string rows = "best-worst";
  std::string output;
};

void declare(CLI::App& app, arguments& given) {
  given.writing.n = 8;
  language::add_model_options(app, given.model);
  sample::add_prompt_options(app, given.prompts);
  sample::add_writing_options(app, given.writing);
  app.add_option("--completions", given.completions,
                 "What sample wrote, instead of a model and prompts")
      ->type_name("FILE")
      ->check(program::path());
  app.add_option("--scores", given.scores, "Numbers, one for each line of --completions")
      ->type_name("FILE")
      ->check(program::path());
  make_pairs::add_judge_options(app, given.judge);
  app.add_option("--rows", given.rows, "What the completions of a prompt become")
      ->check(program::one_of({"best-worst", "all", "list"}))
      ->capture_default_str();
  app.add_option("--output", given.output, "Write the rows here, whole or not at all")
      ->type_name("FILE")
      ->check(program::path());
}

void expect_sensible(arguments const& given) {
  int const judges = (given.judge.scorer.name.empty() ? 0 : 1) + (given.scores.empty() ? 0 : 1) +
                     (given.judge.command.empty() ? 0 : 1);
  if (judges > 1) {
    prefer::refuse("give one of --scorer, --scores and --scorer-command");
  }
  if (!given.scores.empty() && given.completions.empty()) {
    prefer::refuse("--scores needs --completions: numbers are of completions that are there");
  }
  if (given.completions.empty()) return;
  bool const prompts = !given.prompts.texts.empty() || !given.prompts.file.empty();
  if (prompts || !given.model.model.empty()) {
    prefer::refuse("--completions goes without prompts and --model: nothing is drawn");
  }
}

using all_answers = std::vector<sample::answers>;

/// The completions, as drawn now or kept before. Errors  program::stop
all_answers drawn(arguments const& given, std::vector<prefer::data::turns> const& prompts,
                  std::string const& kept) {
  auto const by = sample::open_writer(given.model);
  program::say(by->description());
  all_answers out;
  for (auto const& each : prompts) out.push_back({each, {}});
  auto settings = sample::settings_of(
      prompts, *by,
      {"--completions", "--scorer", "--scorer-model", "--scorer-deviations", "--scores",
       "--scorer-command", "--rows", "--min-margin", "--keep-unfinished"});
  auto const effort = sample::write_all(
      *by,
      {.prompts = &prompts,
       .options = given.writing,
       .kept = kept,
       .settings = std::move(settings)},
      [&](sample::written one) { out[one.prompt].completions.push_back(std::move(one.what)); });
  program::say(effort.sentence());
  return out;
}

void take_scores(arguments const& given, all_answers& all) {
  std::vector<sample::completion*> completions;
  for (auto& each : all) {
    for (auto& one : each.completions) completions.push_back(&one);
  }
  auto const scores = scoring::scores_in_file(given.scores, completions.size());
  for (std::size_t i = 0; i != completions.size(); ++i) completions[i]->score = scores[i];
}

program::json to_json(make_pairs::tally const& of) {
  auto const mean = [&](double sum) {
    return of.rows == 0 ? program::json(nullptr)
                        : program::number(sum / static_cast<double>(of.rows));
  };
  return {{"rows", of.rows},
          {"prompts", of.prompts},
          {"completions", of.completions},
          {"blank", of.blank},
          {"broken", of.broken},
          {"unfinished", of.unfinished},
          {"repeated", of.repeated},
          {"alone", of.alone},
          {"tied", of.tied},
          {"unreadable", of.unreadable},
          {"mean_score_best", mean(of.score_best)},
          {"mean_score_worst", mean(of.score_worst)},
          {"mean_tokens_best", mean(of.tokens_best)},
          {"mean_tokens_worst", mean(of.tokens_worst)}};
}

/// Says what an audit finds in the rows that were made.
void heed(std::string const& rows, make_pairs::row_form form) {
  namespace data = prefer::data;
  auto const heed_all = [](auto made, auto const& lines) {
    for (auto& each : lines) made.push_back(each);
    program::heed_audit(data::in_characters(), program::split_of_rows{"rows", made});
  };
  if (form == make_pairs::row_form::list) {
    heed_all(std::vector<data::scored_completions>(), data::scored_in(rows));
  } else {
    heed_all(std::vector<data::preference_pair>(), data::pairs_in(rows));
  }
}

int hand_over(arguments const& given, std::string const& rows, make_pairs::tally const& counted,
              make_pairs::row_form form) {
  program::handover results;
  if (!given.output.empty()) {
    results.attempt([&] {
      prefer::atomic_file file(given.output);
      file.write(rows);
      file.commit();
    });
  }
  results.attempt([&] {
    if (given.output.empty()) program::print(rows);
    if (program::as_json) {
      auto document = program::document();
      document.update(to_json(counted));
      if (!given.output.empty()) document["files"] = {given.output};
      program::print_json(document);
    }
    program::flush();
  });
  for (auto const& sentence : to_sentences(counted, form)) program::say(sentence);
  if (!given.output.empty()) program::wrote({given.output});
  return results.finish();
}

int run(arguments& given) {
  program::stop_when_asked();
  expect_sensible(given);
  std::vector<prefer::data::turns> prompts;
  if (given.completions.empty()) prompts = sample::read_prompts(given.prompts);
  if (program::interrupted) return program::stopped("nothing was written");
  std::optional<program::claim> alone;
  if (!given.output.empty()) {
    prefer::expect_writable(given.output, program::room_for_a_report);
    alone.emplace(given.output);
  }
  program::expect_standard_output();
  std::string const kept = given.completions.empty() && !given.output.empty()
                               ? given.output + ".unfinished"
                               : std::string();
  try {
    // Opened before anything is drawn: what is wrong with it is found at once.
    std::optional<make_pairs::judge> judge;
    if (given.scores.empty()) judge.emplace(given.judge, given.model);
    if (judge) judge->expect_room(prompts, given.writing.max_tokens);
    all_answers all = given.completions.empty() ? drawn(given, prompts, kept)
                                                : sample::read_answers(given.completions);
    if (judge) {
      judge->score(all);
    } else {
      take_scores(given, all);
    }
    auto const form = given.rows == "all"    ? make_pairs::row_form::all_pairs
                      : given.rows == "list" ? make_pairs::row_form::list
                                             : make_pairs::row_form::best_worst;
    make_pairs::ranking ranking(given.judge.ranked_as(form));
    std::string rows;
    for (auto const& each : all) {
      for (auto const& row : ranking.rows_of(each)) rows += row + "\n";
    }
    if (ranking.counted().rows != 0) heed(rows, form);
    int const code = hand_over(given, rows, ranking.counted(), form);
    if (code != 0) return code;
    if (!kept.empty()) std::remove(kept.c_str());
    program::handover outcome;
    if (ranking.counted().rows == 0) {
      outcome.fault("no two completions of a prompt could be told apart: no rows");
    }
    return outcome.finish();
  } catch (program::stop const&) {
    return program::stopped(kept.empty() ? "nothing is kept without --output"
                                         : "what is finished is in " + kept);
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::string const below = examples + sample::scorers_in_words();
  return program::run<arguments>(argc, argv, {"make_pairs", description, below.c_str()}, declare,
                                 run);
}
