// SPDX-License-Identifier: MIT
//
// The program `recommend` as its users run it, on ratings that take milliseconds.

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <recommend/study.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "workplace.hpp"

namespace {

using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;
using namespace prefer::test;

struct study_folder : workplace {
  study_folder() : workplace("recommend", PREFER_EXAMPLE_RECOMMEND) {}
};

std::string const quick =
    " --beta 0.1 1 --factors 4 --start-epochs 2 --epochs 1 --pairs 5 --batch-size 16 ";

/// One sentence, an exit code, and no report.
void check_refused(study_folder const& folder, std::string const& arguments,
                   std::string const& sentence, int code) {
  folder.check_refused(arguments + " --output refused" + quick, sentence, code);
  CHECK_FALSE(folder.has("refused/recommend.csv"));
  std::filesystem::remove_all(folder / "refused");
}

}  // namespace

TEST_CASE("recommend: writes a row for the start and for each setting and seed",
          "[examples][recommend]") {
  study_folder const folder;
  folder.file("ratings.inter", tiny_ratings());
  auto const run = folder.run("--ratings ratings.inter --output new/out --seeds 2" + quick);
  REQUIRE(run.code == 0);
  for (char const* name : {"recommend.csv", "recommend_who_gains.csv", "recommend_beta.svg",
                           "recommend_frontier.svg"}) {
    CHECK_THAT(run.out, Contains(std::string("wrote new/out/") + name));
  }
  CHECK_THAT(run.out, Contains("12 people, 20 items, 180 ratings; 144 to learn from"));
  CHECK_THAT(folder.content("new/out/recommend_beta.svg"), Contains("</svg>"));
  CHECK_THAT(folder.content("new/out/recommend_frontier.svg"), Contains("</svg>"));

  auto const csv = folder.content("new/out/recommend.csv");
  CHECK_THAT(csv, StartsWith("loss,beta,reference,seed,pair_accuracy,ndcg_at_10,hit_rate_at_10,"
                             "reward_margin,kl_start,seconds,pairs_per_second\n"));
  auto const rows = rows_of(csv);
  auto const settings = recommend::settings_of({.betas = {0.1, 1}});
  REQUIRE(rows.size() == 2 * (1 + settings.size()));
  std::size_t at = 0;
  for (int seed = 1; seed <= 2; ++seed) {
    CHECK(rows[at].at("loss") == "start");
    CHECK(rows[at].at("seed") == std::to_string(seed));
    CHECK(rows[at].at("kl_start") == "0");  // the divergence from itself
    CHECK(rows[at].at("reward_margin") == "0");
    ++at;
    for (auto const& what : settings) {
      auto const& row = rows[at];
      CHECK(row.at("loss") == what.loss);
      CHECK(std::strtod(row.at("beta").c_str(), nullptr) == what.beta);
      CHECK(row.at("reference") == what.reference);
      CHECK(row.at("seed") == std::to_string(seed));
      for (char const* share : {"pair_accuracy", "ndcg_at_10", "hit_rate_at_10"}) {
        CHECK((number(row, share) >= 0 && number(row, share) <= 1));
      }
      CHECK(number(row, "kl_start") > 0);
      CHECK(number(row, "pairs_per_second") > 0);
      ++at;
    }
  }
  for (std::string const reference : {"trained", "popularity", "person", "none"}) {
    for (std::string const beta : {"0.1", "1"}) {
      CHECK(std::count_if(rows.begin(), rows.end(), [&](csv_row const& r) {
              return r.at("loss") == "dpo" && r.at("beta") == beta &&
                     r.at("reference") == reference;
            }) == 2);
    }
  }
  for (std::string const loss : {"softmax_dpo", "ipo_sum", "simpo", "kto"}) {
    CHECK(std::any_of(rows.begin(), rows.end(),
                      [&](csv_row const& r) { return r.at("loss") == loss; }));
  }
}

TEST_CASE("recommend: gives the same numbers again, with any number of threads",
          "[examples][recommend]") {
  study_folder const folder;
  folder.file("ratings.inter", tiny_ratings());
  std::vector<std::vector<csv_row>> results;
  for (std::string const arguments :
       {"--threads 1 --output one", "--threads 2 --output two", "--threads 2 --output again"}) {
    REQUIRE(folder.run("--ratings ratings.inter --seeds 1 " + arguments + quick).code == 0);
    auto const name = arguments.substr(arguments.rfind(' ') + 1);
    results.push_back(
        without(rows_of(folder.content(name + "/recommend.csv")), {"seconds", "pairs_per_second"}));
  }
  CHECK(results[0].size() >= 10);
  CHECK(results[0] == results[1]);
  CHECK(results[1] == results[2]);
}

TEST_CASE("recommend: reads preferences as JSON lines too", "[examples][recommend]") {
  study_folder const folder;
  std::ostringstream lines;
  for (int user = 0; user < 8; ++user) {
    for (int k = 0; k < 10; ++k) {
      lines << R"({"prompt": "u)" << user << R"(", "chosen": "i)" << (user + k) % 13
            << R"(", "rejected": "i)" << (user + 2 * k + 1) % 13 + 20 << "\"}\n";
    }
  }
  folder.file("pairs.jsonl", lines.str());
  auto const run = folder.run("--preferences pairs.jsonl --output out --seeds 1" + quick);
  CHECK(run.code == 0);
  CHECK_THAT(run.out, Contains("8 people") && Contains("80 preferences"));
}

TEST_CASE("recommend: a ratings file that cannot be used is named, with the line",
          "[examples][recommend]") {
  study_folder const folder;
  auto const refused = [&](std::string const& content, std::string const& place,
                           std::string const& reason) {
    folder.file("ratings.inter", content);
    check_refused(folder, "--ratings ratings.inter", place, 1);
    check_refused(folder, "--ratings ratings.inter", reason, 1);
  };
  refused("", "ratings.inter", "there is nothing in it");
  refused(ratings_header, "ratings.inter", "there is no row below the header");
  refused("user_id\trating\ttimestamp\nu\t5\t1\n", "ratings.inter:1", "item_id");
  refused(tiny_ratings() + "u1\ti2\t", "ratings.inter:182", "truncated");
  refused(ratings_header + "u\ti\tfive\t1\n", "ratings.inter:2", "expected a finite number");
  refused(ratings_header + "u\ti\tnan\t1\n", "ratings.inter:2", "expected a finite number");

  check_refused(folder, "--ratings missing.inter", "missing.inter: cannot open file: No such file",
                1);
  check_refused(folder, "--ratings .", ".: cannot read file: Is a directory", 1);
}

TEST_CASE("recommend: people without preferences are told apart from a bad file",
          "[examples][recommend]") {
  study_folder const folder;
  std::ostringstream likes;
  likes << ratings_header;
  for (int k = 0; k < 20; ++k) likes << "u\ti" << k << "\t5\t" << k << '\n';
  folder.file("likes.inter", likes.str());
  check_refused(folder, "--ratings likes.inter",
                "likes.inter: nobody has both a liked and a disliked item in the first part", 1);

  // Item 0 is disliked, in the first 80 %; none is in the rest.
  std::string early = likes.str();
  early.replace(early.find("\t5\t0\n"), 5, "\t1\t0\n");
  folder.file("early.inter", early);
  check_refused(folder, "--ratings early.inter",
                "early.inter: nobody has both a liked and a disliked item in the last part", 1);
}

TEST_CASE("recommend: arguments that make no sense are named", "[examples][recommend]") {
  study_folder const folder;
  folder.file("ratings.inter", tiny_ratings());
  auto const refused = [&](std::string const& arguments, std::string const& named) {
    folder.check_refused(arguments + " --output refused", named, 2);
    CHECK_FALSE(folder.has("refused"));
  };
  refused("--ratings ratings.inter --beta 0", "--beta");
  refused("--ratings ratings.inter --beta -1", "--beta");
  refused("--ratings ratings.inter --beta nan", "--beta");
  refused("--ratings ratings.inter --beta much", "--beta");
  refused("--ratings ratings.inter --threads 0", "--threads");
  refused("--ratings ratings.inter --batch-size 0", "--batch-size");
  refused("--ratings ratings.inter --speed 9", "--speed");
  refused("--ratings ratings.inter --liked-from 2 --disliked-to 2", "--liked-from must be above");
  refused("--ratings ratings.inter --liked-from nan", "--liked-from: found \"nan\"");
  refused("--ratings ratings.inter --preferences ratings.inter", "--preferences");
  refused("", "--ratings");
}

TEST_CASE("recommend: an output folder that cannot be made is named", "[examples][recommend]") {
  study_folder const folder;
  folder.file("ratings.inter", tiny_ratings());
  for (std::string const output : {"ratings.inter", "ratings.inter/out"}) {
    auto const run = folder.run("--ratings ratings.inter --output " + output + quick);
    CHECK(run.code > 0);
    CHECK_THAT(run.err, Contains(output) && Contains("cannot create this folder"));
  }
  CHECK(folder.content("ratings.inter") == tiny_ratings());
}

TEST_CASE(
    "recommend: a report that leads to a full device is refused by name, and the device stays",
    "[examples][recommend]") {
  if (!std::filesystem::exists("/dev/full")) return;
  study_folder const folder;
  folder.file("ratings.inter", tiny_ratings());
  std::filesystem::create_directories(folder / "out");
  std::string const run = "--ratings ratings.inter --output out --seeds 1" + quick;
  for (std::string const name : {"recommend.csv", "recommend_who_gains.csv", "recommend_beta.svg",
                                 "recommend_frontier.svg"}) {
    INFO(name);
    std::filesystem::create_symlink("/dev/full", folder / ("out/" + name));
    auto const result = folder.run(run);
    CHECK(result.code > 0);
    CHECK_THAT(result.err, Contains(name) && Contains("No space left on device"));
    CHECK(std::filesystem::is_symlink(folder / ("out/" + name)));
    CHECK(std::filesystem::is_character_file("/dev/full"));
    std::filesystem::remove(folder / ("out/" + name));
  }
}

TEST_CASE("recommend: --help shows how it is called", "[examples][recommend]") {
  study_folder const folder;
  auto const run = folder.run("--help");
  CHECK(run.code == 0);
  CHECK(run.err.empty());
  CHECK_THAT(run.out, Contains("recommend --ratings") && Contains("--preferences") &&
                          Contains("--beta") && Contains("--seeds"));
}
