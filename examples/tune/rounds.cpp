// SPDX-License-Identifier: MIT
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <prefer/data/message_json.hpp>
#include <prefer/expects.hpp>
#include <prefer/file/atomic_file.hpp>
#include <prefer/file/fingerprint.hpp>
#include <prefer/report/csv.hpp>
#include <prefer/report/table.hpp>

#include "../language/statistics.hpp"
#include "../program.hpp"
#include "../sample/judgement.hpp"
#include "../sample/language_writer.hpp"
#include "tuning.hpp"

namespace tune {

namespace {

using program::json;

std::string folder_of(options const& given, std::uint64_t round) {
  return given.out + "/round-" + std::to_string(round);
}

/// What a round draws from and trains.
options round_of(options const& given, std::uint64_t round) {
  options out = given;
  out.rounds = 0;
  out.resume = false;
  out.out = folder_of(given, round);
  out.data = out.out + "/pairs.jsonl";
  out.seed = given.seed + round - 1;
  out.writing.seed = out.seed;
  if (round != given.rounds) out.merge.clear();
  if (round == 1) return out;
  std::string const before = folder_of(given, round - 1);
  std::error_code ignored;
  if (!given.full) {
    out.model.adapter = before + "/adapter";
  } else if (std::filesystem::exists(before + "/model.gguf", ignored)) {
    out.model.model = before + "/model.gguf";
  } else {
    out.model.model = before + "/model";
  }
  return out;
}

void write(std::string const& path, std::string const& text) {
  prefer::atomic_file file(path);
  file.write(text);
  file.commit();
}

/// Draws completions, scores them and writes completions.jsonl and pairs.jsonl. What was drawn, in numbers.
///
/// Errors  program::stop, with what is drawn kept beside them
json draw(options const& of_round, make_pairs::judge& judge,
          std::vector<prefer::data::turns> const& prompts, make_pairs::row_form form) {
  std::string const kept = of_round.out + "/completions.unfinished";
  std::vector<sample::answers> all;
  for (auto const& each : prompts) all.push_back({each, {}});
  auto const by = sample::open_writer(of_round.model);
  auto settings = program::document();
  settings["arguments"] = program::arguments_but({"--model", "--adapter", "--prompts", "--out",
                                                  "--resume", "--save-every", "--sample-every",
                                                  "--micro-tokens", "--merge", "--rounds"});
  settings["model"] = by->identity();
  settings["seed"] = of_round.seed;
  auto const effort = sample::write_all(
      *by, {.prompts = &prompts, .options = of_round.writing, .kept = kept, .settings = settings},
      [&](sample::written one) { all[one.prompt].completions.push_back(std::move(one.what)); });
  program::say(effort.sentence());
  judge.score(all);
  make_pairs::ranking ranking(of_round.judge.ranked_as(form));
  sample::by_prompt score;
  std::string completions;
  std::string rows;
  for (std::size_t p = 0; p != all.size(); ++p) {
    for (auto const& one : all[p].completions) {
      completions += to_json(all[p].prompt, one) + "\n";
      score.add(p, *one.score);
    }
    for (auto const& row : ranking.rows_of(all[p])) rows += row + "\n";
  }
  for (auto const& sentence : to_sentences(ranking.counted(), form)) program::say(sentence);
  write(of_round.out + "/completions.jsonl", completions);
  if (ranking.counted().rows == 0) {
    prefer::refuse(prefer::backend_error(
        "tune", of_round.out + "/completions.jsonl",
        "no two completions of a prompt could be told apart: nothing to learn in this round"));
  }
  write(of_round.data, rows);
  auto const mean = score.mean();
  return {{"rows", ranking.counted().rows},
          {"tied", ranking.counted().tied},
          {"score", language::json_of(mean)}};
}

json summary_in(std::string const& folder) {
  std::ifstream stream(folder + "/summary.json", std::ios::binary);
  return json::parse(stream);
}

/// The rounds that are done, as they were kept: a row when its pairs are made, and one when it is tuned.
class finished_rounds {
 public:
  finished_rounds(std::string const& path, json const& settings) : kept_(path, settings) {
    for (auto const& row : kept_.rows()) take(row);
  }
  void add(json const& row) {
    kept_.add(row);
    take(row);
  }
  [[nodiscard]] bool any() const { return !drawn_.empty(); }
  [[nodiscard]] std::uint64_t drawn() const { return drawn_.size(); }
  [[nodiscard]] std::uint64_t tuned() const { return tuned_; }
  [[nodiscard]] json const& drawn_in(std::uint64_t round) const { return drawn_[round - 1]; }
  void forget() { kept_.forget(); }

 private:
  void take(json const& row) {
    if (row.contains("drawn")) {
      drawn_.push_back(row.at("drawn"));
    } else {
      ++tuned_;
    }
  }

  program::kept_rows kept_;
  std::vector<json> drawn_;
  std::uint64_t tuned_ = 0;
};

json settings_of(options const& given, make_pairs::judge const& judge,
                 std::vector<prefer::data::turns> const& prompts) {
  prefer::fingerprint input;
  for (auto const& each : prompts) input.add(std::string_view(prefer::data::to_json(each)));
  input.add(program::content_of(given.model.model));
  if (!given.model.adapter.empty()) {
    input.add(program::content_of(given.model.adapter + "/adapter_model.safetensors"));
  }
  input.add(judge.identity());
  auto out = program::document();
  out["input"] = input.value();
  out["arguments"] = program::arguments_but({"--model", "--adapter", "--prompts", "--out",
                                             "--resume", "--save-every", "--sample-every",
                                             "--micro-tokens", "--merge", "--rounds"});
  return out;
}

/// A number of a summary by its path; NaN where it is not there.
double number_at(json const& of, std::vector<char const*> const& path) {
  json const* at = &of;
  for (char const* const name : path) {
    if (!at->contains(name)) return std::numeric_limits<double>::quiet_NaN();
    at = &at->at(name);
  }
  return program::number_in(*at);
}

struct column {
  char const* name;
  std::vector<char const*> path;
};
std::vector<column> const& columns() {
  static std::vector<column> const all = {
      {"score", {"drawn", "score", "mean"}},
      {"score_standard_error", {"drawn", "score", "standard_error"}},
      {"rows", {"drawn", "rows"}},
      {"tied", {"drawn", "tied"}},
      {"steps", {"tuned", "steps"}},
      {"first_loss", {"tuned", "first_loss"}},
      {"last_loss", {"tuned", "last_loss"}},
      {"held_out_accuracy", {"tuned", "held_out", "after", "accuracy", "mean"}},
      {"kl_k3", {"tuned", "answers", "kl_k3", "mean"}},
      {"answer_length", {"tuned", "answers", "length", "mean"}}};
  return all;
}

std::string table_of(json const& rounds) {
  prefer::report::table table(
      {{"round"}, {"score"}, {"rows"}, {"steps"}, {"last loss"}, {"KL, nats"}});
  for (auto const& each : rounds) {
    auto const at = [&](std::size_t of) { return number_at(each, columns()[of].path); };
    table.add_row({std::to_string(each.at("round").get<std::uint64_t>()),
                   prefer::text::fixed(at(0), 3) + " ± " + prefer::text::fixed(at(1), 3),
                   prefer::text::fixed(at(2), 0), prefer::text::fixed(at(4), 0),
                   prefer::text::fixed(at(6), 4), prefer::text::fixed(at(8), 2)});
  }
  return table.text() +
         "Score: mean ± standard error over prompts of what was drawn before the round's "
         "training.\n\n";
}

int hand_over(options const& given, finished_rounds const& done) {
  json rounds = json::array();
  for (std::uint64_t k = 1; k <= given.rounds; ++k) {
    std::string const folder = folder_of(given, k);
    rounds.push_back({{"round", k},
                      {"folder", folder},
                      {"drawn", done.drawn_in(k)},
                      {"tuned", summary_in(folder)}});
  }
  auto summary = program::results_document();
  summary["rounds"] = rounds;
  program::handover results;
  results.attempt([&] {
    std::vector<std::string> header = {"round"};
    for (auto const& each : columns()) header.emplace_back(each.name);
    prefer::report::csv_writer file(given.out + "/rounds.csv", header);
    for (auto const& each : rounds) {
      std::vector<prefer::report::csv_field> fields = {each.at("round").get<std::uint64_t>()};
      for (auto const& of : columns()) fields.emplace_back(number_at(each, of.path));
      file.add_row(fields);
    }
    file.commit();
  });
  results.attempt([&] {
    write(given.out + "/summary.json",
          summary.dump(1, ' ', false, json::error_handler_t::replace) + "\n");
  });
  results.attempt([&] {
    if (program::as_json) {
      program::print_json(summary);
    } else if (!program::quiet) {
      program::print(table_of(rounds));
    }
    program::flush();
  });
  int const code = results.finish();
  if (code == 0) program::wrote({given.out + "/rounds.csv", given.out + "/summary.json"});
  return code;
}

}  // namespace

int tune_in_rounds(options const& given, chosen_loss const& loss) {
  program::expect_folder(given.out, {"rounds.csv", "summary.json"});
  program::claim const alone(given.out + "/summary.json");
  auto const form = loss.facts.kind == example_kind::list ? make_pairs::row_form::list
                                                          : make_pairs::row_form::best_worst;
  try {
    auto const prompts = sample::read_prompts(given.prompts);
    if (program::interrupted) throw program::stop();
    make_pairs::judge judge(given.judge,
                            given.model);  // of all rounds, whatever model they begin with
    judge.expect_room(prompts, given.writing.max_tokens);
    finished_rounds done(given.out + "/rounds.unfinished", settings_of(given, judge, prompts));
    if (given.resume && !done.any()) {
      done.forget();
      prefer::refuse(prefer::backend_error("tune", given.out, "there is nothing to go on from"));
    }
    for (std::uint64_t k = done.tuned() + 1; k <= given.rounds; ++k) {
      auto const of_round = round_of(given, k);
      program::say("round " + std::to_string(k) + " of " + std::to_string(given.rounds));
      program::make_folder(of_round.out);
      if (done.drawn() < k) done.add({{"drawn", draw(of_round, judge, prompts, form)}});
      if (int const code = tune_once(of_round, loss, false); code != 0) return code;
      done.add({{"tuned", k}});
      std::error_code ignored;
      std::filesystem::remove(of_round.out + "/completions.unfinished", ignored);
    }
    int const code = hand_over(given, done);
    if (code == 0) done.forget();
    return code;
  } catch (program::stop const&) {
    return program::stopped("what is done is in " + given.out);
  }
}

}  // namespace tune
