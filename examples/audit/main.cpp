// SPDX-License-Identifier: MIT
//
// audit: what a set of preferences will do to training, before training. See --help.
#include <algorithm>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <prefer/data/audit.hpp>
#include <prefer/data/audit_card.hpp>
#include <prefer/data/audit_findings.hpp>
#include <prefer/file/atomic_file.hpp>
#include <prefer/report/table.hpp>

#include "../program.hpp"
#include "../reading_options.hpp"
#include "read.hpp"

namespace {

namespace data = prefer::data;

constexpr char const* description =
    R"(Says what a set of preferences will do to training, before anything is trained:
lengths and length bias, duplicates, contradictions, circles, label noise, the
share of one annotator, and what splits have in common.)";

constexpr char const* examples =
    R"(  audit --data pairs.jsonl
  audit --data train=pairs.jsonl eval=held-out.jsonl --card card.md
  audit --data judged.jsonl --annotator worker_id --format helpsteer
  audit --data thumbs.jsonl --labels --json
  audit --data pairs.jsonl --model SmolLM2-135M-Instruct.Q4_1.gguf

It ends with 1 where a later number would mean nothing (a split without rows, or
of which an earlier one has every row), and with --strict also for warnings.

Rows:
  chosen longer      share of pairs whose chosen completion is the longer one
  contradictions     pairs of completions that are preferred both ways
  outvoted           rows against the majority about their pair
  cyclic prompts     prompts whose majorities run in a circle
  both sides         completions that are chosen in one row and rejected in another,
                     of one prompt; anywhere: of any two prompts
  label noise        the probability that a judgement is the wrong way round, from
                     pairs that were judged more than once
)";

struct arguments {
  std::vector<std::string> files;
  program::reading_options rows;
  bool labels = false;
  bool strict = false;
  std::string annotator;
  std::string card;
  std::string model;
};

void declare(CLI::App& app, arguments& given) {
  app.add_option("--data", given.files, "Files of preferences, each a split of the data")
      ->type_name("[NAME=]FILE...")
      ->check(program::path());
  auto* const labels =
      app.add_flag("--labels", given.labels, "Rows are completions with a label, not pairs");
  app.add_option("--annotator", given.annotator, "The field that says who judged")
      ->type_name("FIELD")
      ->check(program::not_empty("the name of a field"));
  program::add_bad_row_options(app, given.rows);
  program::add_columns_option(app, given.rows);
  for (CLI::Option* const each :
       program::add_form_options(app, given.rows, program::scored_lists::offered)) {
    // A label is no pair.
    if (each->check_name("--ties") || each->check_name("--scored")) each->excludes(labels);
  }
  app.add_option("--model", given.model,
                 "Lengths in tokens of this model's tokenizer and chat template, not in characters")
      ->type_name("FILE|FOLDER")
      ->check(program::path());
  app.add_option("--card", given.card, "Write a data card, as a Markdown page")
      ->type_name("FILE")
      ->check(program::path());
  app.add_flag("--strict", given.strict, "End with 1 for warnings, too");
}

std::string table_of(data::audit_report const& report) {
  auto const lines = data::audit_table(report);
  std::vector<prefer::report::table_column> columns;
  for (std::string const& name : lines.front()) {
    columns.push_back(
        {.header = name,
         .align = columns.empty() ? prefer::report::align::left : prefer::report::align::right});
  }
  prefer::report::table table(std::move(columns));
  for (std::size_t line = 1; line < lines.size(); ++line) {
    table.add_row({lines[line].begin(), lines[line].end()});
  }
  return table.text();
}

std::string sentences_of(std::vector<data::audit_finding> const& found) {
  std::string text;
  for (data::audit_finding const& each : found) {
    text += std::string(to_string(each.severity)) + ", " + each.split + ": " + each.sentence + "\n";
  }
  return found.empty() ? "nothing was found that is to be known before training\n" : text;
}

int run(arguments& given) {
  if (given.files.empty()) prefer::refuse("give --data FILE; --help shows examples");
  std::vector<audit::source> const sources = audit::sources_of(given.files);
  if (!given.card.empty()) prefer::expect_writable(given.card, program::room_for_a_report);
  program::expect_standard_output();

  audit::reading_choice const choice{program::reading_of(given.rows),
                                     given.labels            ? audit::row_kind::label
                                     : given.rows.as_lists() ? audit::row_kind::list
                                                             : audit::row_kind::pair,
                                     given.annotator,
                                     given.model.empty()
                                         ? audit::lengths_in_characters()
                                         : audit::lengths_in_tokens_of(given.model)};
  data::audit all(unit_of(*choice.measure));
  std::vector<std::string> provenance;
  for (audit::source const& from : sources) {
    data::reading_report const read = audit::read(from, choice, all);
    program::say_reading("audit", read);
    for (std::string const& sentence : to_sentences(read)) {
      provenance.push_back(from.split + ", " + from.path + ": " + sentence);
    }
  }

  data::audit_report const report = all.report();
  std::vector<data::audit_finding> const found = findings_of(report);
  program::handover results;
  results.attempt([&] {
    if (program::as_json) {
      auto document = program::results_document();
      document.update(to_json(report));
      program::print_json(document);
    } else {
      program::print(table_of(report) + "\n" + sentences_of(found));
    }
    program::flush();
  });
  if (!given.card.empty()) {
    results.attempt([&] {
      prefer::atomic_file file(given.card);
      file.write(data_card(report, "Data card", provenance));
      file.commit();
      program::wrote({given.card});
    });
  }
  int const code = results.finish();
  if (code != 0) return code;
  data::severity const worst = given.strict ? data::severity::warning : data::severity::error;
  return std::any_of(found.begin(), found.end(),
                     [&](data::audit_finding const& each) { return each.severity >= worst; })
             ? 1
             : 0;
}

}  // namespace

int main(int argc, char** argv) {
  return program::run<arguments>(argc, argv, {"audit", description, examples}, declare, run);
}
