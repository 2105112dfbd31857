// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstdio>
#include <string>

#include <CLI/CLI.hpp>

#include <prefer/parallel/thread_pool.hpp>
#include <prefer/report/progress.hpp>

#include "../program.hpp"
#include "../reading_options.hpp"
#include "file_words.hpp"
#include "interactions.hpp"
#include "memory.hpp"
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
  std::string normaliser = "auto";
  std::size_t samples = 1024;
  double memory = 0.0;
  unsigned threads = prefer::available_threads();
};

void declare_data(CLI::App& app, arguments& given) {
  auto* const ratings = app.add_option(
      "--ratings", given.ratings,
      "File of user, item, and perhaps rating and timestamp; its form is detected and said");
  auto* const preferences =
      app.add_option("--preferences", given.preferences,
                     "JSONL file with prompt (a person), chosen and rejected (items)");
  ratings->excludes(preferences);
  program::add_bad_row_options(app, given.rows);
  program::add_form_options(app, given.rows);
  app.add_option("--separator", given.file.separator, "Of --ratings: tab, space, ::, ; , or |");
  app.add_option("--header", given.file.header, "Whether its first line names the columns")
      ->check(CLI::IsMember({"yes", "no"}));
  app.add_option("--columns", given.file.columns,
                 "In the order of the file: user,item,-,rating; or by the header's names: "
                 "user=reviewer,item=book; of --preferences: prompt=user,chosen=liked")
      ->delimiter(',');
  app.add_option("--scale", given.file.scale, "Lowest and highest rating, 1:5; others are refused");
  app.add_option("--feedback", given.file.meaning, "What its numbers are")
      ->check(CLI::IsMember({"ratings", "counts", "pairs"}));
  app.add_option("--encoding", given.file.encoding, "Of its text")
      ->check(CLI::IsMember({"utf8", "latin1"}));
  app.add_option("--repeats", given.file.again,
                 "An item that a person rated more than once: keep (each is learned from, the last "
                 "is the opinion), first, last or refused [keep]")
      ->check(CLI::IsMember({"keep", "first", "last", "refused"}));
  app.add_option("--groups", given.groups,
                 "File of people and their groups, for a reference per group")
      ->needs(ratings);
  app.add_option("--group-columns", given.groups_file.columns,
                 "As --columns, of --groups: user,-,group, or user=user_id,group=occupation")
      ->delimiter(',');
}

void declare_study(CLI::App& app, arguments& given) {
  app.add_option("--liked-from", given.split.liked_from,
                 "Ratings from here on are likes [80 % of the scale: 4 of 5]");
  app.add_option("--disliked-to", given.split.disliked_to,
                 "Ratings up to here are dislikes [40 % of the scale: 2 of 5]");
  app.add_flag(
      "--met-again", given.split.met_again,
      "Rank what a person met in the first part too, for what is consumed again and again");
  app.add_option("--loss", given.study.losses, "Only these losses")
      ->check(CLI::IsMember({"dpo", "softmax_dpo", "ipo_sum", "simpo", "kto"}));
  app.add_option("--reference", given.study.references, "Only these references of DPO")
      ->check(CLI::IsMember({"trained", "popularity", "group", "person", "none"}));
  app.add_option("--normaliser", given.normaliser,
                 "Of the softmax in training: exact, sampled, or auto: sampled above 20000 items")
      ->check(CLI::IsMember({"auto", "exact", "sampled"}))
      ->capture_default_str();
  app.add_option("--samples", given.samples, "Items that a sampled normaliser draws in each step")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  app.add_option("--memory", given.memory,
                 "Gigabytes that may be taken [what the machine has]; what does not fit is refused")
      ->check(program::positive_and_finite());
}

void declare(CLI::App& app, arguments& given) {
  declare_data(app, given);
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
  declare_study(app, given);
  program::add_threads(app, given.threads);
}

int run(arguments const& given) {
  if (given.ratings.empty() && given.preferences.empty()) {
    prefer::refuse("give --ratings FILE or --preferences FILE; --help shows examples");
  }
  auto const rule = recommend::rule_of(given.split, given.file);
  program::reading_options of_rows = given.rows;
  if (given.ratings.empty()) of_rows.columns = given.file.columns;
  prefer::data::reading_report read;
  auto data = given.ratings.empty()
                  ? recommend::read_preferences(given.preferences, rule,
                                                program::reading_of(of_rows), &read)
                  : recommend::read_ratings(given.ratings, rule, recommend::reading_of(given.file));
  program::say_reading("recommend", read);
  program::say_not_used("recommend", read);
  if (!given.groups.empty()) {
    recommend::read_groups(given.groups, recommend::reading_of(given.groups_file), data);
  }
  recommend::study_options options = given.study;
  constexpr std::size_t most_exact = 20000;
  if (given.normaliser == "sampled" || (given.normaliser == "auto" && data.items > most_exact)) {
    options.samples = std::min(given.samples, data.items);
  }
  recommend::expect_memory(recommend::memory_of(data, options),
                           given.memory > 0.0 ? given.memory * 1e9 : recommend::available_memory());
  program::make_folder(given.output);
  std::printf("%zu people, %zu items, %zu %s; %zu to learn from\n", data.people.size(), data.items,
              data.events, given.ratings.empty() ? "preferences" : "ratings", data.train_events());
  std::printf("%zu people have preferences to learn from; %zu held-out preferences\n",
              data.people_with_preferences(), data.test_preferences());
  std::size_t const seekers = data.people_with_something_to_find();
  std::printf("%zu people have something to find: liked in the last part%s\n", seekers,
              given.split.met_again ? "" : ", and not met in the first");
  if (seekers == 0) {
    std::printf("so no ranking is judged; --met-again ranks what was met too\n");
  }
  for (std::string const& note : data.notes) std::printf("%s\n", note.c_str());
  if (options.samples != 0) {
    std::printf(
        "normalisers in training are estimated from %zu of %zu items, drawn anew in each "
        "step; judging is exact\n",
        options.samples, data.items);
  }
  if (std::size_t const against = data.contradicted_preferences(); against != 0) {
    std::printf(
        "%zu preferences to learn from are contradicted by others of the same person, directly or\n"
        "along a chain; they are learned from, and no negative of a list follows from them\n",
        against);
  }
  std::printf("\n");
  std::fflush(stdout);

  prefer::thread_pool pool(given.threads);
  recommend::study study(data, options, pool.executor());
  auto const settings = recommend::settings_of(options, data.groups != 0);
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
      "\n%s. Losses other than dpo: the beta with the best %s, chosen on the held-out part\n"
      "itself, which flatters them a little. KL and margins in nats.\n\n",
      given.study.seeds == 1
          ? "One seed"
          : ("Mean ± standard deviation over " + std::to_string(given.study.seeds) + " seeds")
                .c_str(),
      seekers != 0 ? "NDCG@10" : "pair accuracy");
  auto const gains = recommend::who_gains(data, rows, all);
  if (!gains.empty()) {
    std::printf(
        "Who gains: NDCG@10 of people by how many events they have to learn from, and what "
        "the best\nbeta of DPO with each reference adds, with 95 %% intervals over "
        "people\n\n%s\n",
        recommend::table_of(gains).c_str());
  }
  for (auto const& path : recommend::write_files(given.output, rows, all, gains)) {
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
