// SPDX-License-Identifier: MIT
//
// score: what a language model and a reference say of preferences. See --help.
#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include <prefer/file/atomic_file.hpp>
#include <prefer/file/writable.hpp>
#include <prefer/metrics/rewards.hpp>
#include <prefer/report/table.hpp>
#include <prefer/text/number.hpp>

#include "../language/judging.hpp"
#include "../language/model.hpp"
#include "../language/rows.hpp"
#include "../program.hpp"
#include "check.hpp"
#include "lines.hpp"

namespace {

constexpr char const* description =
    R"(What a language model says of preferences, without training: log-probabilities of completions
under a policy and a reference, implicit rewards, and how often the policy agrees with the rows.

Each row becomes one JSON object on a line, in the fields that the program losses reads:

  pairs    policy_chosen policy_rejected ref_chosen ref_rejected chosen_len rejected_len
  labels   policy ref len label
  lists    policy ref len score, each a list, best first

and its line in the file, score_..., weight and beta where the row has them. Log-probabilities
are natural logarithms, summed over a completion's tokens, the end of its turn included. A
summary goes to standard error:

  reward     beta * (policy - ref), nats; without a reference beta * policy
  margin     reward of chosen minus that of rejected
  accuracy   the share of rows whose margin is above 0; a tie is a miss

Where the adapter, or the model, is a reward model's (tune --reward-model), its scores stand in place of the
policy's log-probabilities, there is no reference, and the summary says how well they are calibrated.)";

constexpr char const* examples =
    R"(Examples:
  score --model SmolLM2-135M-Instruct.gguf --data pairs.jsonl > scored.jsonl
  score --model base.gguf --adapter tuned/adapter --data pairs.jsonl --output scored.jsonl
  score --model tuned.gguf --reference model:base.gguf --data pairs.jsonl | losses --loss dpo
  score --model base.gguf --adapter tuned/adapter --data pairs.jsonl --outputs divergence \
    | losses --loss tdpo2
  score --model base.gguf --adapter rm/adapter --data pairs.jsonl | losses --loss bradley_terry
  score --model base.gguf --check log_probs.json gradients.json
  score --model tests/golden/lm_tiny/llama_tied --double \
    --check tests/golden/lm_tiny/llama_tied/golden.json

Rows may come in any form that docs/guides/data.md lists.)";

struct arguments {
  language::model_options model;
  language::row_options rows;
  std::string data;
  std::string kind = "pairs";
  std::string reference;
  double beta = 0.1;
  std::vector<std::string> outputs;
  std::string output;
  std::vector<std::string> check;
  bool in_double = false;
};

void declare(CLI::App& app, arguments& given) {
  language::add_model_options(app, given.model);
  app.add_option("--data", given.data, "Preferences: JSON lines, or one array of JSON")
      ->type_name("FILE")
      ->check(program::path());
  app.add_option("--rows", given.kind, "What rows are read as")
      ->check(program::one_of({"pairs", "labels", "lists"}))
      ->capture_default_str();
  language::add_row_options(app, given.rows);
  app.add_option("--reference", given.reference,
                 "adapter-off, model:FILE or none [adapter-off where there is an adapter]")
      ->type_name("NAME")
      ->check(program::not_empty("the name of a reference"));
  program::suggested["--reference"] = {"adapter-off", "model:", "none"};
  app.add_option("--beta", given.beta, "Of the rewards in the summary")
      ->check(program::positive_and_finite())
      ->capture_default_str();
  app.add_option("--outputs", given.outputs,
                 "What else losses over tokens read, of each completion against the reference: "
                 "divergence, alignment, perturbed")
      ->type_name("NAME,...")
      ->delimiter(',')
      ->check(program::one_of({"divergence", "alignment", "perturbed"}));
  app.add_option("--output", given.output, "Write the lines here, whole or not at all")
      ->type_name("FILE")
      ->check(program::path());
  app.add_option("--check", given.check, "Compare golden files with the model, print a table")
      ->type_name("FILE")
      ->check(program::path());
  app.add_flag("--double", given.in_double, "Check in double precision, by Eigen's products");
}

/// A share in two digits: 3.0e-02.
std::string of_allowed(double share) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1e", share);
  return text;
}

int check(arguments const& given) {
  auto const found = given.in_double ? score::check_files<double>(given.model, given.check)
                                     : score::check_files<float>(given.model, given.check);
  if (program::as_json) {
    auto document = program::results_document();
    document["good"] = found.good();
    document["parts"] = program::json::array();
    for (auto const& part : found.parts) {
      document["parts"].push_back({{"file", part.file},
                                   {"part", part.part},
                                   {"numbers", part.numbers},
                                   {"worst", program::number(part.worst)},
                                   {"where", part.where}});
    }
    document["mismatches"] = found.mismatches;
    program::print_json(document);
  } else {
    prefer::report::table table(
        {{"file"}, {"part"}, {"numbers"}, {"worst, of what is allowed"}, {"where"}});
    for (auto const& part : found.parts) {
      table.add_row(
          {part.file, part.part, std::to_string(part.numbers), of_allowed(part.worst), part.where});
    }
    program::print(table.text());
    for (auto const& each : found.mismatches) program::print("mismatch: " + each + "\n");
  }
  return found.good() ? 0 : 1;
}

/// What is said in sum: `beta` and `has_reference` are of a policy, `calibration` of a reward model.
struct summary {
  language::preference_judgement of;
  std::optional<language::calibration_judgement> calibration = {};
  bool is_reward_model = false;
  bool has_reference = false;
  double beta = 0.0;
  std::string model;
};

/// The summary in words.
std::string in_words(summary const& all) {
  using language::in_words;
  auto const& of = all.of;
  std::string const beta = program::written(all.beta);
  std::string const reward = all.is_reward_model ? "the reward model's score"
                             : all.has_reference ? "beta " + beta + " times the log-ratio"
                                                 : "beta " + beta + " times log_prob";
  std::string out = std::to_string(of.reward_chosen.count) + " rows; ";
  if (of.accuracy.count != 0) {
    out += "accuracy " + in_words(of.accuracy) + ", margin " + in_words(of.reward_margin) +
           " nats, reward of chosen " + in_words(of.reward_chosen) + ", of rejected " +
           in_words(of.reward_rejected);
  } else {
    out += "reward " + in_words(of.reward_chosen);
  }
  if (all.calibration) {
    out += ", log loss " + in_words(all.calibration->log_loss) + " nats, Brier score " +
           in_words(all.calibration->brier) + ", calibration error " +
           prefer::text::fixed(all.calibration->expected_error, 3);
  }
  return out + " (" + reward + "; mean ± standard error)";
}

program::json in_json(summary const& all) {
  auto const& of = all.of;
  program::json out = {{"accuracy", language::json_of(of.accuracy)},
                       {"reward_margin", language::json_of(of.reward_margin)},
                       {"reward_chosen", language::json_of(of.reward_chosen)},
                       {"reward_rejected", language::json_of(of.reward_rejected)},
                       {"log_prob_chosen", language::json_of(of.log_prob_chosen)},
                       {"log_prob_rejected", language::json_of(of.log_prob_rejected)}};
  if (all.calibration) out["calibration"] = language::json_of(*all.calibration);
  return out;
}
/// The document around the summary.
program::json document_of(summary const& all) {
  auto document = program::results_document();
  document["model"] = all.model;
  if (all.is_reward_model) {
    document["reward_model"] = true;
  } else {
    document["beta"] = all.beta;
  }
  document["summary"] = in_json(all);
  return document;
}

language::reference_choice reference_of(arguments const& given) {
  using kind = language::reference_choice::kind;
  bool const scores = language::is_reward_model(given.model);
  std::string const of = given.model.adapter.empty() ? given.model.model : given.model.adapter;
  if (scores && !given.reference.empty() && given.reference != "none") {
    prefer::refuse("--reference " + given.reference + ": " + of +
                   " is a reward model's, and its scores are held against nothing");
  }
  if (scores && !given.outputs.empty()) {
    prefer::refuse("--outputs: " + of + " is a reward model's, and gives scores alone");
  }
  if (given.reference.empty()) {
    return {.is = scores || given.model.adapter.empty() ? kind::none : kind::adapter_off};
  }
  auto const out = language::reference_named(given.reference);
  if (out.is == kind::frozen || out.is == kind::cached || out.is == kind::moving) {
    prefer::refuse("--reference " + given.reference +
                   ": nothing trains here; expected adapter-off, model:FILE or none");
  }
  return out;
}

void deliver(arguments const& given, language::encoded_rows const& rows,
             score::scored_rows const& said, summary const& all) {
  if (program::as_json && given.output.empty()) {
    auto document = document_of(all);
    document["rows"] = program::json::array();
    for (std::size_t g = 0; g != rows.data.size(); ++g) {
      document["rows"].push_back(score::line_of(rows, said, g));
    }
    return program::print_json(document);
  }
  std::optional<prefer::atomic_file> file;
  if (!given.output.empty()) file.emplace(given.output);
  for (std::size_t g = 0; g != rows.data.size(); ++g) {
    std::string const line = score::line_of(rows, said, g).dump() + "\n";
    if (file) {
      file->write(line);
    } else {
      program::print(line);
    }
  }
  if (file) file->commit();
  program::flush();
  if (program::as_json) {
    auto document = document_of(all);
    document["files"] = {given.output};
    program::print_json(document);
  } else {
    program::say(in_words(all));
    if (file) program::say("wrote " + given.output);
  }
}

int run(arguments& given) {
  if (given.model.model.empty()) prefer::refuse("give --model FILE; --help shows examples");
  if (given.check.empty() == given.data.empty()) {
    prefer::refuse("give one of --data FILE and --check FILE; --help shows examples");
  }
  if (!given.check.empty()) {
    if (given.model.compute != "float32" || given.model.storage != "auto") {
      prefer::refuse(
          "--check computes with all weights in full; leave --compute and --storage out");
    }
    return check(given);
  }
  if (given.in_double) prefer::refuse("--double is for --check");
  auto const choice = reference_of(given);
  bool const has_reference = choice.is != language::reference_choice::kind::none;
  score::wanted_outputs wanted;
  for (auto const& each : given.outputs) {
    wanted.divergence = wanted.divergence || each == "divergence";
    wanted.alignment = wanted.alignment || each == "alignment";
    wanted.perturbed = wanted.perturbed || each == "perturbed";
  }
  if ((wanted.divergence || wanted.perturbed) && !has_reference) {
    prefer::refuse("--outputs: divergence and perturbed are against a reference; give --reference");
  }
  if (!given.output.empty()) {
    prefer::expect_writable(given.output, program::room_for_a_report);
  } else {
    program::expect_standard_output();
  }
  std::optional<program::claim> alone;
  if (!given.output.empty()) alone.emplace(given.output);
  program::stop_when_asked();

  language::model model(given.model);
  program::say(model.in_words());
  prefer::token_sequences texts;
  using language::row_kind;
  row_kind const kind = given.kind == "labels"  ? row_kind::labels
                        : given.kind == "lists" ? row_kind::lists
                                                : row_kind::pairs;
  prefer::column_set const extra =
      prefer::column_name::target_margin | prefer::column_name::chosen_from_reference;
  auto const rows = language::read_rows(given.data, {.kind = kind, .takes = extra}, given.rows,
                                        model.words(), model.config().context, texts);
  language::say_rows({{"data", &rows}}, texts);
  bool const scores = language::is_reward_model(given.model);
  auto const held = scores ? model.scorer(texts, given.model.adapter) : model.fixed(texts);
  auto const held_near = held->reference(choice, {});
  auto policy = held->handle();
  auto reference = held_near->handle();
  score::scored_rows said;
  try {
    said = score::score_rows(rows, policy, has_reference ? &reference : nullptr, wanted);
  } catch (program::stop const&) {
    return program::stopped("nothing is written yet");
  }
  prefer::reward_rule const rule =
      scores ? prefer::reward_is_score
             : prefer::reward_rule{.beta = given.beta, .from_reference = has_reference};
  summary all{.of = language::judge(rows.data, said.policy, said.reference, rule),
              .is_reward_model = scores,
              .has_reference = has_reference,
              .beta = given.beta,
              .model = model.in_words()};
  if (scores) all.calibration = language::calibration_of_scores(rows.data, said.policy);
  deliver(given, rows, said, all);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return program::run<arguments>(
      argc, argv, {.name = "score", .description = description, .examples = examples}, declare,
      run);
}
