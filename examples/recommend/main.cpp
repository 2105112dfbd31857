// SPDX-License-Identifier: MIT
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include <prefer/parallel/thread_pool.hpp>

#include "../program.hpp"
#include "interactions.hpp"
#include "report.hpp"
#include "study.hpp"

namespace {

constexpr char const* description =
    R"(Trains a recommender on ratings, tunes it by preferences (DPO and relatives) for a range of beta and of
references, and reports how well each result ranks items and predicts held-out preferences.

  recommend --ratings ml-100k.inter
  recommend --ratings ml-100k.inter --beta 0.1 1 --seeds 5 --output my-run
  recommend --preferences pairs.jsonl

Ctrl-C keeps what is trained; the same command goes on from there.)";

constexpr char const* notes =
    R"(Each person's first 80 % of ratings by time are learned from, the rest judge. A preference is an item
rated 4 or more against one rated 2 or less. Losses other than DPO show their best beta in the table;
the CSV file has all of them.)";

struct arguments {
  std::string ratings;
  std::string preferences;
  std::string output = "out";
  recommend::split_rule split;
  recommend::study_options study;
  unsigned threads = prefer::available_threads();
};

void declare(CLI::App& app, arguments& given) {
  auto* const ratings =
      app.add_option("--ratings", given.ratings,
                     "Tab-separated file with user_id, item_id, rating, timestamp")
          ->type_name("FILE")
          ->check(program::path());
  auto* const preferences =
      app.add_option("--preferences", given.preferences,
                     "JSONL file with prompt (a person), chosen and rejected (items)")
          ->type_name("FILE")
          ->check(program::path());
  ratings->excludes(preferences);
  app.add_option("--output", given.output, "Folder for recommend.csv and the pictures")
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
  app.add_option("--liked-from", given.split.liked_from, "Ratings from here on are likes")
      ->check(program::finite())
      ->capture_default_str();
  app.add_option("--disliked-to", given.split.disliked_to, "Ratings up to here are dislikes")
      ->check(program::finite())
      ->capture_default_str();
  program::add_threads(app, given.threads);
}

/// What the data are, in words and, with --json, as part of the document.
std::string in_words(recommend::interactions const& data, arguments const& given) {
  auto const count = [](std::size_t n) { return std::to_string(n); };
  return count(data.people.size()) + " people, " + count(data.items) + " items, " +
         count(data.events) + (given.ratings.empty() ? " preferences; " : " ratings; ") +
         count(data.train_events()) + " to learn from\n" + count(data.people_with_preferences()) +
         " people have preferences to learn from; " + count(data.test_preferences()) +
         " held-out preferences\n\n";
}

program::json in_json(recommend::interactions const& data) {
  return {{"people", data.people.size()},
          {"items", data.items},
          {"events", data.events},
          {"train_events", data.train_events()},
          {"people_with_preferences", data.people_with_preferences()},
          {"test_preferences", data.test_preferences()}};
}

/// Runs what is not yet in `kept`: the rows of all settings and seeds.
std::vector<recommend::study_row> train(recommend::interactions const& data, arguments const& given,
                                        program::kept_trainings& trainings,
                                        program::kept_rows& kept) {
  prefer::thread_pool pool(given.threads);
  auto const settings = recommend::settings_of(given.study);
  std::size_t const each = settings.size() + 1;
  std::vector<recommend::study_row> rows;
  for (auto const& row : kept.rows()) rows.push_back(recommend::row_of(row));
  program::progress shown(given.study.seeds * each, "start model");
  shown.advance(rows.size(), "");
  std::string doing;
  recommend::study study(
      data, given.study, pool.executor(),
      {.kept = &trainings, .on_step = [&](std::uint64_t step, std::uint64_t steps) {
         shown.doing(doing + ", step " + std::to_string(step) + " of " + std::to_string(steps));
       }});
  auto const keep = [&](recommend::study_row const& row) {
    kept.add(recommend::json_of(row));
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

int run(arguments& given) {
  if (given.ratings.empty() && given.preferences.empty()) {
    prefer::refuse("give --ratings FILE or --preferences FILE; --help shows examples");
  }
  if (!(given.split.liked_from > given.split.disliked_to)) {
    prefer::refuse("--liked-from must be above --disliked-to, or an item would be both; found " +
                   program::written(given.split.liked_from) + " and " +
                   program::written(given.split.disliked_to));
  }
  given.study.betas = program::without_repeats("--beta", given.study.betas);
  std::string const input = given.ratings.empty() ? given.preferences : given.ratings;
  auto const data = [&] {
    program::progress const reading(0, "reading " + input);
    return given.ratings.empty() ? recommend::read_preferences(input, given.split)
                                 : recommend::read_ratings(input, given.split);
  }();
  std::string const stem = given.output + "/recommend";
  program::stop_when_asked();
  program::expect_folder(given.output,
                         {"recommend.csv", "recommend_beta.svg", "recommend_frontier.svg"});
  program::claim const alone(stem + ".csv");
  if (!program::as_json) program::print(in_words(data, given));
  program::flush();
  auto settings = program::document();
  settings["input"] = program::content_of(input);
  settings["arguments"] = program::arguments_but({"--ratings", "--preferences"});
  program::kept_rows kept(stem + ".csv.unfinished", settings);
  program::kept_trainings trainings(stem);
  if (!kept.rows().empty()) {
    program::say(std::to_string(kept.rows().size()) + " runs are in " + stem +
                 ".csv.unfinished already");
  }
  std::vector<recommend::study_row> rows;
  try {
    rows = train(data, given, trainings, kept);
  } catch (program::stop const&) {
    return program::stopped("finished runs are in " + stem + ".csv.unfinished");
  }
  auto const all = recommend::summarize(rows);
  std::vector<std::string> const paths = {stem + ".csv", stem + "_beta.svg",
                                          stem + "_frontier.svg"};
  program::handover results;
  results.attempt([&] { recommend::write_csv(paths[0], rows); });
  results.attempt([&] {
    if (program::as_json) {
      auto document = program::document();
      document["data"] = in_json(data);
      document["summary"] = recommend::json_of(all);
      document["rows"] = program::json::array();
      for (auto const& row : rows) document["rows"].push_back(recommend::json_of(row));
      program::print_json(document);
    } else {
      program::print(
          recommend::table_of(all) + "\n" +
          (given.study.seeds == 1
               ? "One seed"
               : "Mean ± standard deviation over " + std::to_string(given.study.seeds) + " seeds") +
          ". Losses other than dpo: the beta with the best NDCG@10, chosen on the held-out part\n"
          "itself, which flatters them a little. KL and margins in nats.\n\n");
    }
    program::flush();
  });
  results.attempt([&] { recommend::write_beta_picture(paths[1], all); });
  results.attempt([&] { recommend::write_frontier_picture(paths[2], all); });
  int const code = results.finish();
  if (code == 0) {
    kept.forget();
    trainings.forget();
    program::wrote(paths);
  }
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  return program::run<arguments>(
      argc, argv, {.name = "recommend", .description = description, .examples = notes}, declare,
      run);
}
