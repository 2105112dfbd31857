// SPDX-License-Identifier: MIT
#include "tuning.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <system_error>

#include "../program.hpp"
#include "report.hpp"
#include "session.hpp"

namespace tune {

namespace {

/// What the results depend on, for whoever goes on.
program::json settings_of(session& of) {
  auto settings = program::document();
  settings["input"] = of.identity();
  settings["arguments"] = program::arguments_but(
      {"--model", "--data", "--prompts", "--adapter", "--out", "--resume", "--save-every",
       "--sample-every", "--rounds", "--config", "--micro-tokens", "--merge"});
  return settings;
}

}  // namespace

int tune_once(options const& given, chosen_loss const& loss, bool printed) {
  program::expect_folder(given.out, {"metrics.csv", "metrics.jsonl", "curves.svg", "summary.json"});
  program::claim const alone(given.out + "/summary.json");
  std::string const checkpoint = given.out + "/checkpoint.unfinished";
  try {
    session session(given, loss);
    std::string const written = model_path(session, given);
    if (!given.merge.empty()) expect_merge(given.merge);
    program::say("training " + std::to_string(session.policy().trained()) + " numbers with " +
                 session.loss().facts.label + ", reference " + session.reference_name());
    program::kept_rows kept(given.out + "/metrics.unfinished", settings_of(session));
    final_report report;
    for (auto const& row : kept.rows()) report.steps.push_back(row_of(row));
    try {
      session.train(checkpoint, [&](step_row const& row) {
        if (row.report.step <= report.steps.size()) return;  // done before a kill, to the same bits
        kept.add(json_of(row));
        report.steps.push_back(row);
      });
    } catch (...) {
      // Where nothing is done, nothing is in the way of other settings.
      if (report.steps.empty()) kept.forget();
      throw;
    }
    session.finish(report);
    int const code = deliver(session, given, report, written, printed);
    if (code == 0) {
      kept.forget();
      std::error_code ignored;
      std::filesystem::remove(checkpoint, ignored);
    }
    return code;
  } catch (program::stop const&) {
    return program::stopped("what is done is in " + given.out);
  }
}

}  // namespace tune
