// SPDX-License-Identifier: MIT
//
// reference_study: the runs of scripts/study as one table, one CSV and two pictures. See --help.
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <prefer/report/csv.hpp>
#include <prefer/report/table.hpp>

#include "../program.hpp"
#include "pictures.hpp"
#include "runs.hpp"

namespace {

using reference_study::found_runs;
using reference_study::run;

constexpr char const* description =
    R"(What became of the models that scripts/study has tuned, each near another reference and
with another beta: a table, a CSV with a row for each run, and pictures.

A run is a folder REFERENCE/beta-BETA/seed-SEED with what the programs tune, score and
sample say of it (summary.json, scored.json, sampled.json). Runs that are not finished are
left out and named.

Accuracy is of held-out pairs, by the reward beside the run's own reference, and beside
the start, which is one measure for all; so is the log-ratio of the chosen endings.
)";

struct arguments {
  std::string runs;
  std::vector<std::string> references = {"start", "sft", "stronger", "none"};
  std::string output;
};

void declare(CLI::App& app, arguments& given) {
  app.add_option("runs", given.runs, "The folder that holds the runs, and start.json of sample")
      ->type_name("FOLDER")
      ->required();
  app.add_option("--references", given.references, "Folders of the references, in this order")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--output", given.output,
                 "Folder for reference.csv, reference_beta.svg and reference_frontier.svg")
      ->type_name("FOLDER")
      ->check(program::path())
      ->required();
}

std::vector<std::pair<std::string, language::mean_of_rows run::*>> const columns = {
    {"score", &run::score},
    {"kl", &run::kl},
    {"accuracy", &run::accuracy},
    {"reward_chosen", &run::reward_chosen},
    {"accuracy_from_start", &run::accuracy_from_start},
    {"chosen_from_start", &run::chosen_from_start},
    {"tokens", &run::tokens},
    {"ended", &run::ended}};

void write_csv(std::string const& path, found_runs const& found) {
  std::vector<std::string> header = {"reference", "beta", "seed"};
  for (auto const& [name, field] : columns) {
    header.push_back(name);
    header.push_back(name + "_standard_error");
  }
  prefer::report::csv_writer csv(path, header);
  for (run const& each : found.runs) {
    std::vector<prefer::report::csv_field> row = {each.reference, each.beta, each.seed};
    for (auto const& [name, field] : columns) {
      row.emplace_back((each.*field).mean);
      row.emplace_back((each.*field).standard_error);
    }
    csv.add_row(row);
  }
  csv.commit();
}

std::string table_of(found_runs const& found, std::vector<run> const& settings) {
  using prefer::report::align;
  prefer::report::table table({{.header = "reference", .align = align::left},
                               {.header = "beta", .align = align::right},
                               {.header = "score", .align = align::right},
                               {.header = "KL, nats", .align = align::right},
                               {.header = "accuracy", .align = align::right},
                               {.header = "from the start", .align = align::right},
                               {.header = "chosen, nats", .align = align::right},
                               {.header = "tokens", .align = align::right},
                               {.header = "ended", .align = align::right}});
  table.add_row({"(not tuned)", "", in_words(found.start_score), "0", "", "", "0",
                 in_words(found.start_tokens, 1), ""});
  for (run const& each : settings) {
    table.add_row({each.reference, prefer::text::shortest(each.beta), in_words(each.score),
                   in_words(each.kl, 2), in_words(each.accuracy),
                   in_words(each.accuracy_from_start), in_words(each.chosen_from_start, 2),
                   in_words(each.tokens, 1), in_words(each.ended)});
  }
  return table.text();
}

int work(arguments& given) {
  auto const file = [&](char const* name) { return given.output + "/" + name; };
  auto const found = reference_study::read_runs(given.runs, given.references);
  program::expect_folder(given.output,
                         {"reference.csv", "reference_beta.svg", "reference_frontier.svg"});
  for (auto const& each : found.unfinished) program::warn(each + " is not finished: left out");
  auto const settings = reference_study::settings_of(found.runs);

  std::vector<std::string> const paths = {file("reference.csv"), file("reference_beta.svg"),
                                          file("reference_frontier.svg")};
  program::handover results;
  results.attempt([&] { write_csv(paths[0], found); });
  results.attempt([&] { reference_study::draw_betas(paths[1], found, settings); });
  results.attempt([&] { reference_study::draw_frontier(paths[2], found, settings); });
  results.attempt([&] {
    program::print(table_of(found, settings));
    program::flush();
  });
  int const code = results.finish();
  if (code == 0) program::wrote(paths);
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  return program::run<arguments>(
      argc, argv, {.name = "reference_study", .description = description}, declare, work);
}
