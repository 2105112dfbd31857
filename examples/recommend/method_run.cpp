// SPDX-License-Identifier: MIT
#include "method_run.hpp"

#include <algorithm>
#include <utility>

#include <prefer/expects.hpp>
#include <prefer/parallel/thread_pool.hpp>

#include "../program.hpp"
#include "method_report.hpp"
#include "method_summary.hpp"

namespace recommend {

namespace {

std::vector<method_row> train(method_study& study, study_options const& options,
                              std::vector<method_setting> const& settings,
                              program::kept_trainings& trainings, program::kept_rows& kept,
                              program::progress& shown, std::string& doing) {
  std::vector<method_row> rows;
  for (auto const& row : kept.rows()) rows.push_back(method_row_of(row));
  shown.advance(rows.size(), "");
  for (std::uint64_t seed = 1; seed <= options.seeds; ++seed) {
    std::size_t const first = (seed - 1) * settings.size();
    if (rows.size() >= first + settings.size()) continue;
    std::string const of_seed = "seed " + std::to_string(seed) + ", ";
    doing = of_seed + "start model";
    study.start(seed);  // which the settings need, whatever is done already
    for (std::size_t s = rows.size() - first; s < settings.size(); ++s) {
      if (program::interrupted) throw program::stop();
      doing = of_seed + settings[s].method;
      auto row = study.run(settings[s]);
      kept.add(kept_json_of(row));
      rows.push_back(std::move(row));
      shown.advance(1, doing);
      for (auto const& unit : study.units(settings[s])) trainings.forget(unit);
    }
    for (auto const& unit : method_study::start_units(seed)) trainings.forget(unit);
  }
  return rows;
}

/// The tables, as text.
std::string tables_of(std::vector<method_row> const& rows, method_options const& how,
                      study_options const& options) {
  auto const all = summarize(rows);
  std::string const seeds = std::to_string(options.seeds);
  std::string out =
      table_of(all) + "\nNDCG@10 is the mean over people who have something to find, and over " +
      seeds + (options.seeds == 1 ? " seed" : " seeds") +
      ", ± its standard error over both;\n"
      "differences are paired by person and seed. KL and learned reward in nats, the latter what "
      "is expected of the\nreward model's score, minus of the start. Seconds are of a processor, "
      "for training, with those of the reward\nmodel; best_of_n takes its own when it answers. "
      "optimum is start * exp(learned reward / beta) / Z, exactly:\nwhat the methods that ask the "
      "reward model look for.\n\nHeld-out preferences: the reward model, and policies as reward "
      "models, beta * log(policy / start)\n\n" +
      reward_table_of(all);
  auto const compared = compare(rows);
  if (!compared.empty()) {
    out +=
        "\nEach method against dpo, both at the strength that ranks best for the other half of "
        "the people\n\n" +
        table_of(compared);
  }
  auto const equal = at_equal_reward(rows);
  if (how.judgings != 0 && !equal.empty()) {
    out +=
        "\nSeconds of a processor until NDCG@10 is the largest that both the method and dpo "
        "reach, each at its best beta;\nthe ratio's mean is geometric, its interval Student's "
        "over seeds\n\n" +
        table_of(equal);
  }
  std::string const found = findings(rows);
  return out + "\n" + (found.empty() ? "" : found + "\n\n");
}

int report(std::vector<method_row> const& rows, study_options const& options,
           method_options const& how, std::string const& stem, program::json const& about_data) {
  std::vector<std::string> paths;
  program::handover results;
  auto const write = [&](std::string const& path, auto const& action) {
    results.attempt([&] {
      action(path);
      paths.push_back(path);
    });
  };
  write(stem + ".csv", [&](std::string const& path) { write_csv(path, rows); });
  if (how.judgings != 0) {
    write(stem + "_courses.csv", [&](std::string const& path) { write_courses(path, rows); });
  }
  results.attempt([&] {
    if (program::as_json) {
      auto document = program::results_document();
      document["data"] = about_data;
      document["summary"] = json_of(summarize(rows));
      document["against_dpo"] = json_of(compare(rows));
      document["at_equal_reward"] = json_of(at_equal_reward(rows));
      document["findings"] = findings(rows);
      document["rows"] = program::json::array();
      for (auto const& row : rows) document["rows"].push_back(json_of(row));
      program::print_json(document);
    } else {
      program::print(tables_of(rows, how, options));
    }
    program::flush();
  });
  write(stem + ".svg", [&](std::string const& path) { write_picture(path, summarize(rows)); });
  int const code = results.finish();
  if (code == 0) program::wrote(paths);
  return code;
}

}  // namespace

void declare_methods(CLI::App& app, method_options& how) {
  auto* const method =
      app.add_option(
             "--method", how.methods,
             "Compare these instead of references, each at every beta, which is the coefficient of "
             "the KL divergence to the start model for all: dpo, which needs no reward model; "
             "sft_on_chosen, neither reward nor beta; those that ask a reward model fitted on the "
             "same preferences about items that the policy draws (iterative_dpo in rounds, "
             "online_dpo, xpo, nash_md, ppo, rloo, reinforce); best_of_n, which keeps the best of "
             "n draws")
          ->type_name("METHOD...")
          ->check(program::one_of(known_methods()));
  app.add_option("--best-of", how.best_of, "n of best_of_n, in place of betas")
      ->check(program::whole(1, 1 << 20))
      ->capture_default_str()
      ->needs(method);
  app.add_option(
         "--completions", how.completions,
         "Items that ppo, rloo and reinforce draw for a person at a time; rloo compares them")
      ->check(program::whole(2, 1024))
      ->capture_default_str()
      ->needs(method);
  app.add_option("--rounds", how.rounds,
                 "Of iterative_dpo: draw, judge, train, each held near what the one before made")
      ->check(program::whole(1, 1000))
      ->capture_default_str()
      ->needs(method);
  app.add_option("--centering", how.centering,
                 "Of the reward model: holds the two scores of a pair around 0")
      ->check(program::non_negative_and_finite())
      ->capture_default_str()
      ->needs(method);
  app.add_option("--judgings", how.judgings,
                 "Judge so often in the course of each training, too, for seconds at equal NDCG@10")
      ->check(program::whole(0, 10000))
      ->capture_default_str()
      ->needs(method);
}

void expect_sense(method_options const& how, study_options const& options,
                  interactions const& data) {
  auto const has = [&](std::string const& method) {
    return std::find(how.methods.begin(), how.methods.end(), method) != how.methods.end();
  };
  if (data.people_with_something_to_find() == 0) {
    prefer::refuse(
        "--method is judged by NDCG@10, and nobody has anything to find: found no item liked in "
        "the last part and not met in the first; expected some, or --met-again, which ranks what "
        "was met, too");
  }
  // A value that nobody reads is not passed over. One that holds anyway may stand in a file of all flags.
  method_options const unsaid;
  auto const read_by = [&](char const* flag, bool said, std::vector<std::string> const& readers) {
    if (!said || std::any_of(readers.begin(), readers.end(), has)) return;
    std::string expected;
    for (std::string const& each : readers) expected += (expected.empty() ? "" : " or ") + each;
    prefer::refuse(std::string(flag) +
                   ": found a value that none of these methods reads; expected " + expected +
                   " among them");
  };
  read_by("--best-of", how.best_of != unsaid.best_of, {"best_of_n"});
  read_by("--completions", how.completions != unsaid.completions, {"ppo", "rloo", "reinforce"});
  read_by("--rounds", how.rounds != unsaid.rounds, {"iterative_dpo"});
  if (!options.losses.empty() && !has("dpo")) {
    prefer::refuse(
        "--loss: found losses without --method dpo, whose losses they are; expected dpo "
        "among the methods");
  }
  if (options.betas != study_options{}.betas && !(has("dpo") && options.has_dpo()) &&
      std::none_of(how.methods.begin(), how.methods.end(), asks_reward)) {
    prefer::refuse(
        "--beta: found betas that none of these methods reads; sft_on_chosen has none, and losses "
        "other than dpo have ranges of their own");
  }
  if (options.samples != 0) {
    auto const asks = std::find_if(how.methods.begin(), how.methods.end(), asks_reward);
    if (asks != how.methods.end()) {
      prefer::refuse("--method " + *asks +
                     ": found a normaliser that is estimated from samples; expected --normaliser "
                     "exact, because what a policy draws and how likely it was are of one "
                     "distribution; dpo and sft_on_chosen do without");
    }
  }
}

int run_methods(interactions const& data, study_options const& options, method_options const& how,
                unsigned threads, std::string const& stem, program::json const& settings,
                program::json const& about_data) {
  program::kept_rows kept(stem + ".csv.unfinished", settings);
  program::kept_trainings trainings(stem);
  if (!kept.rows().empty()) {
    program::say(std::to_string(kept.rows().size()) + " runs are in " + stem +
                 ".csv.unfinished already");
  }
  std::vector<method_row> rows;
  try {
    auto const all = settings_of(how, options);
    prefer::thread_pool pool(threads);
    program::progress shown(options.seeds * all.size(), "start model");
    std::string doing;
    method_study study(
        data, options, how, pool.executor(),
        {.kept = &trainings, .on_step = [&](std::uint64_t step, std::uint64_t steps) {
           shown.doing(doing + ", step " + std::to_string(step) + " of " + std::to_string(steps));
         }});
    rows = train(study, options, all, trainings, kept, shown, doing);
  } catch (program::stop const&) {
    return program::stopped("finished runs are in " + stem + ".csv.unfinished");
  }
  int const code = report(rows, options, how, stem, about_data);
  if (code == 0) {
    kept.forget();
    trainings.forget();
  }
  return code;
}

}  // namespace recommend
