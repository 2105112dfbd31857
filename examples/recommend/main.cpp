// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include <prefer/parallel/thread_pool.hpp>

#include "../findings.hpp"
#include "../program.hpp"
#include "../reading_options.hpp"
#include "file_words.hpp"
#include "interactions.hpp"
#include "memory.hpp"
#include "method_run.hpp"
#include "report.hpp"
#include "study.hpp"

namespace {

constexpr char const* description =
    R"(Trains a recommender on ratings, tunes it by preferences (DPO and relatives) for a range of beta and of
references, and reports how well each result ranks items and predicts held-out preferences.

  recommend --ratings ml-100k.inter
  recommend --ratings ml-100k.inter --beta 0.1 1 --seeds 5 --output my-run
  recommend --preferences pairs.jsonl
  recommend --ratings ml-100k.inter --method dpo ppo best_of_n --beta 0.5 1 2

With --method it asks whether a reward model and reinforcement learning are needed: DPO beside the pipeline that
it replaces, from one start model, on the same preferences.

Ctrl-C keeps what is trained; the same command goes on from there.)";

constexpr char const* notes =
    R"(Each person's first 80 % of ratings by time are learned from, the rest judge. A preference is an item
rated 4 of 5 or more against one rated 2 or less. Losses other than DPO show their best beta in the table;
the CSV file has all of them.)";

struct arguments {
  std::string ratings;
  std::string preferences;
  program::reading_options rows;  // of preferences
  std::string groups;
  std::string output = "out";
  recommend::file_words file;
  recommend::file_words groups_file;
  recommend::split_rule split;
  recommend::study_options study;
  recommend::method_options methods;
  std::string normaliser = "auto";
  std::size_t samples = 1024;
  double memory = 0.0;
  unsigned threads = prefer::available_threads();
};

/// What is said of a file of ratings; preferences have none of it.
void declare_form_of_ratings(CLI::App& app, arguments& given, CLI::Option* ratings) {
  app.add_option("--separator", given.file.separator, "Of --ratings: tab, space, ::, ; , or |")
      ->check(program::not_empty("what stands between columns"))
      ->needs(ratings);
  app.add_option("--header", given.file.header, "Whether its first line names the columns")
      ->check(program::one_of({"yes", "no"}))
      ->needs(ratings);
  app.add_option("--scale", given.file.scale, "Lowest and highest rating, 1:5; others are refused")
      ->needs(ratings);
  app.add_option("--feedback", given.file.meaning, "What its numbers are")
      ->check(program::one_of({"ratings", "counts", "pairs"}))
      ->needs(ratings);
  app.add_option("--encoding", given.file.encoding, "Of its text")
      ->check(program::one_of({"utf8", "latin1"}))
      ->needs(ratings);
  app.add_option("--repeats", given.file.again,
                 "An item that a person rated more than once: keep (each is learned from, the last "
                 "is the opinion), first, last or refused [keep]")
      ->check(program::one_of({"keep", "first", "last", "refused"}))
      ->needs(ratings);
}

void declare_data(CLI::App& app, arguments& given) {
  auto* const ratings =
      app.add_option(
             "--ratings", given.ratings,
             "File of user, item, and perhaps rating and timestamp; its form is detected and said")
          ->type_name("FILE")
          ->check(program::path());
  auto* const preferences =
      app.add_option("--preferences", given.preferences,
                     "JSONL file with prompt (a person), chosen and rejected (items)")
          ->type_name("FILE")
          ->check(program::path());
  ratings->excludes(preferences);
  program::add_bad_row_options(app, given.rows);
  for (CLI::Option* const each : program::add_form_options(app, given.rows)) {
    each->needs(preferences);
  }
  declare_form_of_ratings(app, given, ratings);
  app.add_option("--columns", given.file.columns,
                 "In the order of the file: user,item,-,rating; or by the header's names: "
                 "user=reviewer,item=book; of --preferences: prompt=user,chosen=liked")
      ->delimiter(',');
  auto* const groups = app.add_option("--groups", given.groups,
                                      "File of people and their groups, for a reference per group")
                           ->type_name("FILE")
                           ->check(program::path())
                           ->needs(ratings);
  app.add_option("--group-columns", given.groups_file.columns,
                 "As --columns, of --groups: user,-,group, or user=user_id,group=occupation")
      ->delimiter(',')
      ->needs(groups);
}

void declare_study(CLI::App& app, arguments& given) {
  app.add_option("--liked-from", given.split.liked_from,
                 "Ratings from here on are likes [80 % of the scale: 4 of 5]")
      ->check(program::finite());
  app.add_option("--disliked-to", given.split.disliked_to,
                 "Ratings up to here are dislikes [40 % of the scale: 2 of 5]")
      ->check(program::finite());
  app.add_flag(
      "--met-again", given.split.met_again,
      "Rank what a person met in the first part too, for what is consumed again and again");
  app.add_option("--loss", given.study.losses, "Only these losses")
      ->check(program::one_of({"dpo", "softmax_dpo", "ipo_sum", "simpo", "kto"}));
  app.add_option("--reference", given.study.references, "Only these references of DPO")
      ->check(program::one_of({"trained", "popularity", "group", "person", "none"}))
      ->excludes("--method");
  app.add_option("--normaliser", given.normaliser,
                 "Of the softmax in training: exact, sampled, or auto: sampled above 20000 items")
      ->check(program::one_of({"auto", "exact", "sampled"}))
      ->capture_default_str();
  app.add_option("--samples", given.samples, "Items that a sampled normaliser draws in each step")
      ->check(program::whole(1, 1 << 20))
      ->capture_default_str();
  app.add_option("--memory", given.memory,
                 "Gigabytes that may be taken [what the machine has]; what does not fit is refused")
      ->check(program::positive_and_finite());
}

void declare(CLI::App& app, arguments& given) {
  declare_data(app, given);
  recommend::declare_methods(app, given.methods);
  app.get_option("--groups")->excludes("--method");
  app.add_option("--output", given.output,
                 "Folder for recommend.csv, or recommend_methods.csv, and the pictures")
      ->type_name("FOLDER")
      ->check(program::path())
      ->capture_default_str();
  app.add_option("--beta", given.study.betas,
                 "Betas of DPO; the other losses have ranges of their own")
      ->check(program::positive_and_finite())
      ->capture_default_str();
  app.add_option("--seeds", given.study.seeds,
                 "How often to repeat, each time with its own start model")
      ->check(program::whole(1, 1000))
      ->capture_default_str();
  app.add_option("--factors", given.study.factors, "Numbers per person and item")
      ->check(program::whole(1, 4096))
      ->capture_default_str();
  app.add_option("--batch-size", given.study.batch_size, "Pairs per step")
      ->check(program::whole(1, 1 << 20))
      ->capture_default_str();
  app.add_option("--start-epochs", given.study.start_epochs,
                 "Epochs of maximum likelihood before tuning")
      ->check(program::whole(1, 10000))
      ->capture_default_str();
  app.add_option("--start-rate", given.study.start_rate, "Learning rate of maximum likelihood")
      ->check(program::positive_and_finite())
      ->capture_default_str();
  app.add_option("--start-weight-decay", given.study.start_weight_decay, "AdamW weight decay of it")
      ->check(program::non_negative_and_finite())
      ->capture_default_str();
  app.add_option("--epochs", given.study.tune_epochs, "Epochs of preference tuning")
      ->check(program::whole(1, 10000))
      ->capture_default_str();
  app.add_option("--pairs", given.study.pairs_per_person, "Preference pairs per person and epoch")
      ->check(program::whole(1, 100000))
      ->capture_default_str();
  app.add_option("--rate", given.study.tune_rate, "Learning rate of preference tuning")
      ->check(program::positive_and_finite())
      ->capture_default_str();
  declare_study(app, given);
  program::add_threads(app, given.threads);
}

/// What the data are and what is made of them.
std::string in_words(recommend::interactions const& data, arguments const& given,
                     recommend::study_options const& options) {
  auto const count = [](std::size_t n) { return std::to_string(n); };
  std::string out = count(data.people.size()) + " people, " + count(data.items) + " items, " +
                    count(data.events) + (given.ratings.empty() ? " preferences; " : " ratings; ") +
                    count(data.train_events()) + " to learn from\n" +
                    count(data.people_with_preferences()) +
                    " people have preferences to learn from; " + count(data.test_preferences()) +
                    " held-out preferences\n" + count(data.people_with_something_to_find()) +
                    " people have something to find: liked in the last part" +
                    (given.split.met_again ? "" : ", and not met in the first") + "\n";
  if (data.people_with_something_to_find() == 0) {
    out += "so no ranking is judged; --met-again ranks what was met too\n";
  }
  for (std::string const& note : data.notes) out += note + "\n";
  if (options.samples != 0) {
    out += "normalisers in training are estimated from " + count(options.samples) + " of " +
           count(data.items) + " items, drawn anew in each step; judging is exact\n";
  }
  return out + "\n";
}

program::json in_json(recommend::interactions const& data,
                      recommend::study_options const& options) {
  return {{"people", data.people.size()},
          {"items", data.items},
          {"events", data.events},
          {"train_events", data.train_events()},
          {"people_with_preferences", data.people_with_preferences()},
          {"test_preferences", data.test_preferences()},
          {"people_with_something_to_find", data.people_with_something_to_find()},
          {"contradicted_preferences", data.contradicted_preferences()},
          {"learned_and_judged", data.learned_and_judged()},
          {"items_in_a_normaliser", options.samples == 0 ? data.items : options.samples},
          {"notes", data.notes}};
}

/// Runs what is not yet in `kept`: the rows of all settings and seeds.
std::vector<recommend::study_row> train(recommend::interactions const& data, arguments const& given,
                                        recommend::study_options const& options,
                                        program::kept_trainings& trainings,
                                        program::kept_rows& kept) {
  prefer::thread_pool pool(given.threads);
  auto const settings = recommend::settings_of(options, data.groups != 0);
  std::size_t const each = settings.size() + 1;
  std::vector<recommend::study_row> rows;
  for (auto const& row : kept.rows()) rows.push_back(recommend::row_of(row));
  program::progress shown(given.study.seeds * each, "start model");
  shown.advance(rows.size(), "");
  std::string doing;
  recommend::study study(
      data, options, pool.executor(),
      {.kept = &trainings, .on_step = [&](std::uint64_t step, std::uint64_t steps) {
         shown.doing(doing + ", step " + std::to_string(step) + " of " + std::to_string(steps));
       }});
  auto const keep = [&](recommend::study_row const& row) {
    kept.add(recommend::kept_json_of(row));
    rows.push_back(row);
    shown.advance(1, doing);
  };
  for (std::uint64_t seed = 1; seed <= given.study.seeds; ++seed) {
    std::size_t const first = (seed - 1) * each;
    if (rows.size() >= first + each) continue;
    doing = "seed " + std::to_string(seed) + ", start model";
    // Its settings need the start model, which is trained, or there, and judged again.
    auto const start = study.start(seed);
    if (rows.size() == first) keep(start);
    for (std::size_t s = 0; s < settings.size(); ++s) {
      if (rows.size() > first + 1 + s) continue;
      if (program::interrupted) throw program::stop();
      doing = "seed " + std::to_string(seed) + ", " + settings[s].loss;
      keep(study.tune(settings[s]));
      trainings.forget(study.unit(settings[s]));
    }
    trainings.forget(recommend::study::start_unit(seed));
  }
  return rows;
}

/// The tables, as text.
std::string tables_of(recommend::interactions const& data, arguments const& given,
                      std::vector<recommend::summary> const& all,
                      std::vector<recommend::tenth> const& gains) {
  std::string out = recommend::table_of(all) + "\n" +
                    (given.study.seeds == 1 ? "One seed"
                                            : "Mean ± standard deviation over " +
                                                  std::to_string(given.study.seeds) + " seeds") +
                    ". Losses other than dpo: the beta with the best " +
                    (data.people_with_something_to_find() != 0 ? "NDCG@10" : "pair accuracy") +
                    ", chosen on the held-out part\n"
                    "itself, which flatters them a little. KL and margins in nats.\n\n";
  if (gains.empty()) return out;
  return out +
         "Who gains: NDCG@10 of people by how many events they have to learn from, and what the "
         "best\nbeta of DPO with each reference adds, with 95 % intervals over people\n\n" +
         recommend::table_of(gains) + "\n";
}

/// Writes and prints what was found; the exit code.
int report(recommend::interactions const& data, arguments const& given,
           recommend::study_options const& options, std::vector<recommend::study_row> const& rows) {
  auto const all = recommend::summarize(rows);
  auto const gains = recommend::who_gains(data, rows, all);
  std::string const stem = given.output + "/recommend";
  std::vector<std::string> paths;
  program::handover results;
  auto const write = [&](std::string const& path, auto const& how) {
    results.attempt([&] {
      if (how(path)) paths.push_back(path);
    });
  };
  write(stem + ".csv", [&](std::string const& path) {
    recommend::write_csv(path, rows);
    return true;
  });
  write(stem + "_who_gains.csv", [&](std::string const& path) {
    recommend::write_csv(path, gains);
    return true;
  });
  results.attempt([&] {
    if (program::as_json) {
      auto document = program::results_document();
      document["data"] = in_json(data, options);
      document["summary"] = recommend::json_of(all);
      document["who_gains"] = recommend::json_of(gains);
      document["rows"] = program::json::array();
      for (auto const& row : rows) document["rows"].push_back(recommend::json_of(row));
      program::print_json(document);
    } else {
      program::print(tables_of(data, given, all, gains));
    }
    program::flush();
  });
  write(stem + "_beta.svg",
        [&](std::string const& path) { return recommend::write_beta_picture(path, all); });
  write(stem + "_frontier.svg",
        [&](std::string const& path) { return recommend::write_frontier_picture(path, all); });
  int const code = results.finish();
  if (code == 0) program::wrote(paths);
  return code;
}

recommend::interactions read(arguments const& given, recommend::split_rule const& rule) {
  program::progress const reading(0, "reading");
  program::reading_options of_rows = given.rows;
  if (given.ratings.empty()) of_rows.columns = given.file.columns;
  if (given.ratings.empty()) {
    prefer::data::reading_report read;
    auto data =
        recommend::read_preferences(given.preferences, rule, program::reading_of(of_rows), &read);
    program::say_reading("recommend", read);
    program::warn_of_unused(read);
    return data;
  }
  auto how = recommend::reading_of(given.file);
  program::set_bad_rows(given.rows, how);
  auto data = recommend::read_ratings(given.ratings, rule, how);
  if (!given.groups.empty()) {
    how = recommend::reading_of(given.groups_file);
    program::set_bad_rows(given.rows, how);
    recommend::read_groups(given.groups, how, data);
  }
  return data;
}

int run(arguments& given) {
  if (given.ratings.empty() && given.preferences.empty()) {
    prefer::refuse("give --ratings FILE or --preferences FILE; --help shows examples");
  }
  given.study.betas = program::without_repeats("--beta", given.study.betas);
  given.study.losses = program::without_repeats("--loss", given.study.losses);
  given.study.references = program::without_repeats("--reference", given.study.references);
  given.methods.methods = program::without_repeats("--method", given.methods.methods);
  given.methods.best_of = program::without_repeats("--best-of", given.methods.best_of);
  bool const of_methods = !given.methods.methods.empty();
  auto const rule = recommend::rule_of(given.split, given.file);
  auto const data = read(given, rule);
  recommend::study_options options = given.study;
  constexpr std::size_t most_exact = 20000;
  if (given.normaliser == "sampled" || (given.normaliser == "auto" && data.items > most_exact)) {
    options.samples = std::min(given.samples, data.items);
  }
  // A value that nobody reads is not passed over.
  if (options.samples == 0 && given.samples != arguments{}.samples) {
    prefer::refuse("--samples: found " + std::to_string(given.samples) +
                   ", and normalisers are exact here; expected --normaliser sampled beside it");
  }
  if (!of_methods && !options.has_dpo() && options.betas != recommend::study_options{}.betas) {
    prefer::refuse(
        "--beta: found betas of dpo, and --loss leaves dpo out; the other losses have ranges of "
        "their own");
  }
  program::heed(data.findings());
  if (of_methods) recommend::expect_sense(given.methods, options, data);
  constexpr std::size_t models_of_methods =
      6;  // start, reward, policy, and copies held near or drawn from
  auto memory = recommend::memory_of(data, options, of_methods ? models_of_methods : 2);
  if (of_methods) {
    memory.push_back({"rows of the start", static_cast<double>(given.methods.kept_bytes)});
  }
  recommend::expect_memory(memory,
                           given.memory > 0.0 ? given.memory * 1e9 : recommend::available_memory());
  program::stop_when_asked();
  std::string const name = of_methods ? "recommend_methods" : "recommend";
  if (!of_methods) {
    program::expect_folder(given.output, {"recommend.csv", "recommend_who_gains.csv",
                                          "recommend_beta.svg", "recommend_frontier.svg"});
  } else if (given.methods.judgings == 0) {
    program::expect_folder(given.output, {"recommend_methods.csv", "recommend_methods.svg"});
  } else {
    program::expect_folder(given.output, {"recommend_methods.csv", "recommend_methods_courses.csv",
                                          "recommend_methods.svg"});
  }
  std::string const stem = given.output + "/" + name;
  program::claim const alone(stem + ".csv");
  if (!program::as_json) program::print(in_words(data, given, options));
  program::flush();
  auto settings = program::document();
  settings["input"] =
      program::content_of(given.ratings.empty() ? given.preferences : given.ratings);
  if (!given.groups.empty()) settings["groups"] = program::content_of(given.groups);
  settings["arguments"] =
      program::arguments_but({"--ratings", "--preferences", "--groups", "--memory"});
  if (of_methods) {
    return recommend::run_methods(data, options, given.methods, given.threads, stem, settings,
                                  in_json(data, options));
  }
  program::kept_rows kept(stem + ".csv.unfinished", settings);
  program::kept_trainings trainings(stem);
  if (!kept.rows().empty()) {
    program::say(std::to_string(kept.rows().size()) + " runs are in " + stem +
                 ".csv.unfinished already");
  }
  std::vector<recommend::study_row> rows;
  try {
    rows = train(data, given, options, trainings, kept);
  } catch (program::stop const&) {
    return program::stopped("finished runs are in " + stem + ".csv.unfinished");
  }
  int const code = report(data, given, options, rows);
  if (code == 0) {
    kept.forget();
    trainings.forget();
  }
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  return program::run<arguments>(
      argc, argv, {.name = "recommend", .description = description, .examples = notes}, declare,
      run);
}
