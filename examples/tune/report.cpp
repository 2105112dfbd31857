// SPDX-License-Identifier: MIT
#include "report.hpp"

#include <cmath>
#include <cstddef>
#include <vector>

#include <convert/conversion.hpp>

#include <prefer/expects.hpp>
#include <prefer/file/atomic_file.hpp>
#include <prefer/file/writable.hpp>
#include <prefer/report/table.hpp>
#include <prefer/text/number.hpp>

#include "../program/effective_options.hpp"
#include "../program/output.hpp"

namespace tune {

namespace {

using language::in_words;
using language::json_of;
using program::json;

json json_of_judgement(language::preference_judgement const& of) {
  return {{"accuracy", json_of(of.accuracy)},
          {"reward_margin", json_of(of.reward_margin)},
          {"reward_chosen", json_of(of.reward_chosen)},
          {"reward_rejected", json_of(of.reward_rejected)},
          {"log_prob_chosen", json_of(of.log_prob_chosen)},
          {"log_prob_rejected", json_of(of.log_prob_rejected)}};
}

json json_of_judgement(language::preference_judgement const& of,
                       std::optional<language::calibration_judgement> const& calibration) {
  json out = json_of_judgement(of);
  if (calibration) out["calibration"] = language::json_of(*calibration);
  return out;
}

/// The steps that learned from something.
std::vector<step_row const*> with_examples(std::vector<step_row> const& steps) {
  std::vector<step_row const*> out;
  for (step_row const& each : steps) {
    if (each.examples > 0) out.push_back(&each);
  }
  return out;
}

struct totals {
  double examples = 0;
  double settled = 0;
  double skipped = 0;
};
totals totals_of(std::vector<step_row> const& steps) {
  totals out;
  for (step_row const& each : steps) {
    out.examples += each.examples;
    if (std::isfinite(each.report.settled)) out.settled += each.report.settled;
    if (std::isfinite(each.drawn.skipped)) out.skipped += each.drawn.skipped;
  }
  return out;
}

json json_of_rows(language::encoded_rows const& rows) {
  auto const& of = rows.encoded;
  return {{"rows", of.kept},
          {"prompts_cut", of.prompts_cut},
          {"prompt_tokens_cut", of.prompt_tokens_cut},
          {"chosen_cut", of.first_completions_cut},
          {"chosen_tokens_cut", of.first_completion_tokens_cut},
          {"rejected_cut", of.completions_cut - of.first_completions_cut},
          {"rejected_tokens_cut", of.completion_tokens_cut - of.first_completion_tokens_cut},
          {"left_out", of.dropped()}};
}

double seconds_of(final_report const& report) {
  double sum = 0;
  for (step_row const& row : report.steps) sum += row.seconds;
  return sum;
}

json summary_of(session& of, options const& given, final_report const& report) {
  auto out = program::results_document();
  out["model"] = of.model().in_words();
  out["loss"] = of.loss().facts.label;
  out["reference"] = of.reference_name();
  out["numbers_trained"] = of.policy().trained();
  auto const sums = totals_of(report.steps);
  if (of.prompts()) {
    out["online"] = {{"prompts", of.prompts()->number.size()},
                     {"completions_of_each", given.writing.n},
                     {"examples", sums.examples},
                     {"prompts_without_example", sums.skipped}};
    if (!report.steps.empty()) {
      out["online"]["first_score"] = program::number(report.steps.front().drawn.score);
      out["online"]["last_score"] = program::number(report.steps.back().drawn.score);
    }
  } else {
    out["train"] = json_of_rows(of.rows());
  }
  if (of.held_out()) out["held_out_rows"] = json_of_rows(*of.held_out());
  out["steps"] = report.steps.size();
  out["seconds"] = program::number(seconds_of(report));
  if (auto const learned = with_examples(report.steps); !learned.empty()) {
    out["first_loss"] = program::number(learned.front()->report.loss);
    out["last_loss"] = program::number(learned.back()->report.loss);
  }
  if (given.skip_settled > 0) {
    out["settled"] = {{"examples", sums.settled}, {"of", sums.examples}};
  }
  out["reference_was_the_start"] = report.start_checked;
  if (report.after) {
    out["held_out"] = {{"before", json_of_judgement(*report.before, report.calibration_before)},
                       {"after", json_of_judgement(*report.after, report.calibration_after)}};
  }
  if (report.answers) {
    out["answers"] = {
        {"length", json_of(report.answers->length)},
        {"kl_k1", json_of(report.answers->k1)},
        {"kl_k3", json_of(report.answers->k3)},
        {"meaning",
         "KL(policy || model without what was trained), nats a completion, of completions that the "
         "tuned policy wrote at temperature 1, at most " +
             std::to_string(given.sample_tokens) +
             " tokens; k1 is the mean log-ratio, k3 the mean of exp(-r) - 1 + r"}};
  }
  return out;
}

std::string table_of(final_report const& report) {
  auto const& before = *report.before;
  auto const& after = *report.after;
  prefer::report::table table({{"held-out rows"}, {"before"}, {"after"}});
  auto const add = [&](char const* name, language::mean_of_rows const& a,
                       language::mean_of_rows const& b) {
    if (a.count != 0) table.add_row({name, in_words(a), in_words(b)});
  };
  add("accuracy", before.accuracy, after.accuracy);
  add("margin, nats", before.reward_margin, after.reward_margin);
  add("reward of chosen", before.reward_chosen, after.reward_chosen);
  add("reward of rejected", before.reward_rejected, after.reward_rejected);
  if (report.calibration_after) {
    auto const& first = *report.calibration_before;
    auto const& last = *report.calibration_after;
    add("log loss, nats", first.log_loss, last.log_loss);
    add("Brier score", first.brier, last.brier);
    table.add_row({"calibration error", prefer::text::fixed(first.expected_error, 3),
                   prefer::text::fixed(last.expected_error, 3)});
  } else {
    add("log_prob of chosen", before.log_prob_chosen, after.log_prob_chosen);
    add("log_prob of rejected", before.log_prob_rejected, after.log_prob_rejected);
  }
  return table.text();
}

std::string text_of(session& of, options const& given, final_report const& report) {
  std::string out;
  using prefer::text::fixed;
  auto const sums = totals_of(report.steps);
  if (auto const learned = with_examples(report.steps); !learned.empty()) {
    out += std::to_string(report.steps.size()) + " steps in " + fixed(seconds_of(report), 1) +
           " s; loss " + fixed(learned.front()->report.loss, 4) + " at the first, " +
           fixed(learned.back()->report.loss, 4) + " at the last";
    if (report.start_checked) out += "; the reference was the start: log-ratios of 0 before it";
    out += "\n";
  } else if (!report.steps.empty()) {
    out += std::to_string(report.steps.size()) +
           " steps, and nothing was learned: of no prompt two completions could be told apart\n";
  }
  if (of.prompts() && !report.steps.empty()) {
    out += "score of what was drawn: " + fixed(report.steps.front().drawn.score, 3) +
           " at the first step, " + fixed(report.steps.back().drawn.score, 3) + " at the last; " +
           fixed(sums.examples, 0) + " examples, and " + fixed(sums.skipped, 0) +
           " prompts had none\n";
  }
  if (given.skip_settled > 0 && sums.examples > 0) {
    out += fixed(sums.settled, 0) + " of " + fixed(sums.examples, 0) + " examples (" +
           fixed(100 * sums.settled / sums.examples, 1) +
           " %) were settled and left out of the backward pass\n";
  }
  if (report.after) out += "\n" + table_of(report);
  if (report.answers) {
    out += "\n" + std::to_string(report.answers->length.count) +
           " answers of the tuned policy: length " + in_words(report.answers->length, 1) +
           " tokens; KL from the start " + in_words(report.answers->k3) +
           " nats a completion (k3; k1 " + in_words(report.answers->k1) + ")\n";
  }
  if (of.held_out() || report.answers) out += "Mean ± standard error over rows.\n";
  return out + "\n";
}

}  // namespace

std::string model_path(session& of, options const& given) {
  if (!given.full) return given.out + "/adapter";
  // GGUF has no place for a head.
  return given.out + (of.model().is_gguf() && !given.reward_model ? "/model.gguf" : "/model");
}

void expect_merge(std::string const& path) {
  if (path.ends_with(".gguf")) {
    prefer::expect_writable(path, program::room_for_a_report);
  } else {
    program::make_folder(path);
  }
}

int deliver(session& of, options const& given, final_report const& report,
            std::string const& weights, bool printed) {
  std::vector<std::string> paths;
  program::handover results;
  auto const write = [&](std::string const& path, auto const& how) {
    results.attempt([&] {
      if (how(path)) paths.push_back(path);
    });
  };
  // What was trained comes first: the rest can be had again from it.
  write(weights, [&](std::string const& path) {
    if (given.full) {
      of.policy().save_model(path, of.model().threads());
    } else {
      of.policy().save_adapter(path);
    }
    return true;
  });
  if (!given.merge.empty()) {
    write(given.merge, [&](std::string const& path) {
      convert::request merged;
      merged.model = given.model.model;
      merged.adapter = weights;
      merged.output = path;
      merged.shard_bytes = 5'000'000'000;
      auto const done =
          convert::run(merged, of.model().threads(), [](std::size_t, std::string const&) {});
      for (auto const& each : done.warnings) program::warn(each);
      return true;
    });
  }
  write(given.out + "/metrics.csv", [&](std::string const& path) {
    write_csv(path, report.steps);
    return true;
  });
  write(given.out + "/metrics.jsonl", [&](std::string const& path) {
    write_jsonl(path, report.steps);
    return true;
  });
  write(given.out + "/curves.svg",
        [&](std::string const& path) { return write_curves(path, report.steps); });
  auto const summary = summary_of(of, given, report);
  write(given.out + "/summary.json", [&](std::string const& path) {
    prefer::atomic_file file(path);
    file.write(summary.dump(1, ' ', false, json::error_handler_t::replace) + "\n");
    file.commit();
    return true;
  });
  results.attempt([&] {
    if (!printed) return;
    if (program::as_json) {
      program::print_json(summary);
    } else if (!program::quiet) {
      program::print(text_of(of, given, report));
    }
    program::flush();
  });
  int const code = results.finish();
  if (code == 0 && printed) program::wrote(paths);
  return code;
}

}  // namespace tune
