// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstdio>
#include <string>

#include <CLI/CLI.hpp>

#include <prefer/parallel/thread_pool.hpp>
#include <prefer/report/progress.hpp>

#include "../program.hpp"
#include "../reading_options.hpp"
#include "interactions.hpp"
#include "report.hpp"
#include "study.hpp"

namespace {

constexpr char const* description =
    R"(Trains a recommender on ratings, tunes it by preferences (DPO and relatives) for a range of beta and of
references, and reports how well each result ranks items and predicts held-out preferences.

  recommend --ratings ml-100k.inter
  recommend --ratings ml-100k.inter --beta 0.1 1 --seeds 5 --output my-run
  recommend --preferences pairs.jsonl)";

constexpr char const* notes =
    R"(Each person's first 80 % of ratings by time are learned from, the rest judge. A preference is an item
rated 4 or more against one rated 2 or less. Losses other than DPO show their best beta in the table;
the CSV file has all of them.)";

struct arguments {
  std::string ratings;
  std::string preferences;
  program::reading_options rows;  // of preferences
  std::string output = "out";
  recommend::split_rule split;
  recommend::study_options study;
  unsigned threads = prefer::available_threads();
};

void declare(CLI::App& app, arguments& given) {
  auto* const ratings = app.add_option(
      "--ratings", given.ratings, "Tab-separated file with user_id, item_id, rating, timestamp");
  auto* const preferences =
      app.add_option("--preferences", given.preferences,
                     "JSONL file with prompt (a person), chosen and rejected (items)");
  ratings->excludes(preferences);
  program::add_form_options(app, given.rows);
  app.add_option("--output", given.output, "Folder for recommend.csv and the pictures")
      ->capture_default_str();
  app.add_option("--beta", given.study.betas,
                 "Betas of DPO; the other losses have ranges of their own")
      ->check(program::positive_and_finite())
      ->capture_default_str();
  app.add_option("--seeds", given.study.seeds,
                 "How often to repeat, each time with its own start model")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--factors", given.study.factors, "Numbers per person and item")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  app.add_option("--batch-size", given.study.batch_size, "Pairs per step")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  app.add_option("--start-epochs", given.study.start_epochs,
                 "Epochs of maximum likelihood before tuning")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  app.add_option("--start-rate", given.study.start_rate, "Learning rate of maximum likelihood")
      ->check(program::positive_and_finite())
      ->capture_default_str();
  app.add_option("--start-weight-decay", given.study.start_weight_decay, "AdamW weight decay of it")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--epochs", given.study.tune_epochs, "Epochs of preference tuning")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  app.add_option("--pairs", given.study.pairs_per_person, "Preference pairs per person and epoch")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  app.add_option("--rate", given.study.tune_rate, "Learning rate of preference tuning")
      ->check(program::positive_and_finite())
      ->capture_default_str();
  app.add_option("--liked-from", given.split.liked_from, "Ratings from here on are likes")
      ->capture_default_str();
  app.add_option("--disliked-to", given.split.disliked_to, "Ratings up to here are dislikes")
      ->capture_default_str();
  program::add_threads(app, given.threads);
}

int run(arguments const& given) {
  if (given.ratings.empty() && given.preferences.empty()) {
    prefer::refuse("give --ratings FILE or --preferences FILE; --help shows examples");
  }
  if (!(given.split.liked_from > given.split.disliked_to)) {
    prefer::refuse("--liked-from must be above --disliked-to, or an item would be both");
  }
  prefer::data::reading_report read;
  auto const data = given.ratings.empty()
                        ? recommend::read_preferences(given.preferences, given.split,
                                                      program::reading_of(given.rows), read)
                        : recommend::read_ratings(given.ratings, given.split);
  program::say_reading("recommend", read);
  program::say_not_used("recommend", read);
  program::make_folder(given.output);
  std::printf("%zu people, %zu items, %zu %s; %zu to learn from\n", data.people.size(), data.items,
              data.events, given.ratings.empty() ? "preferences" : "ratings", data.train_events());
  std::printf("%zu people have preferences to learn from; %zu held-out preferences\n\n",
              data.people_with_preferences(), data.test_preferences());
  std::fflush(stdout);

  prefer::thread_pool pool(given.threads);
  recommend::study study(data, given.study, pool.executor());
  auto const settings = recommend::settings_of(given.study);
  std::vector<recommend::study_row> rows;
  program::stop_when_asked();
  prefer::report::progress_bar bar(
      {.total = given.study.seeds * (settings.size() + 1), .title = "recommend"});
  for (std::uint64_t seed = 1; seed <= given.study.seeds && !program::interrupted; ++seed) {
    rows.push_back(study.start(seed));
    bar.advance(1, "seed " + std::to_string(seed) + ", start model");
    for (auto const& what : settings) {
      if (program::interrupted) break;
      rows.push_back(study.tune(what));
      bar.advance(1, "seed " + std::to_string(seed) + ", " + what.loss);
    }
  }
  bar.finish();
  if (program::interrupted) {
    std::fprintf(stderr, "recommend: interrupted; no file was written\n");
    return program::exit_interrupted;
  }
  auto const all = recommend::summarize(rows);
  std::fputs(recommend::table_of(all).c_str(), stdout);
  std::printf(
      "\n%s. Losses other than dpo: the beta with the best NDCG@10, chosen on the held-out part\n"
      "itself, which flatters them a little. KL and margins in nats.\n\n",
      given.study.seeds == 1
          ? "One seed"
          : ("Mean ± standard deviation over " + std::to_string(given.study.seeds) + " seeds")
                .c_str());
  for (auto const& path : recommend::write_files(given.output, rows, all)) {
    std::printf("wrote %s\n", path.c_str());
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return program::run<arguments>(
      argc, argv,
      {.name = "recommend", .description = description, .examples = notes, .needs_arguments = true},
      declare, run);
}
