// SPDX-License-Identifier: MIT
//
// Ctrl-C, a polite kill and a rude one: what is done is kept, and the same command goes on to the same results.

#include <algorithm>
#include <catch2/catch.hpp>
#include <diffusion/study.hpp>
#include <filesystem>
#include <optional>
#include <recommend/report.hpp>
#include <recommend/study.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "workplace.hpp"

namespace {

using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;
using namespace prefer::test;

/// Pairs whose numbers differ from row to row, and whose losses are not exact sums of few digits.
std::string rows(int count) {
  std::ostringstream out;
  for (int i = 0; i < count; ++i) {
    out << R"({"policy_chosen": -)" << i % 7 + 1 << ".1, \"policy_rejected\": -" << i % 5 + 2
        << R"(.3, "ref_chosen": -2, "ref_rejected": -)" << i % 3 + 1 << "}\n";
  }
  return out.str();
}

/// Runs a program in the background, sends it a signal `seconds` after `ready` (a test of the shell) holds, and notes its
/// exit code.
std::string stop_by(std::string const& signal, std::string const& command, std::string const& ready,
                    std::string const& seconds = "0") {
  return command +
         " >stopped.out 2>stopped.err &\nfirst=$!\n"
         "while ! " +
         ready + "; do sleep 0.01; done\nsleep " + seconds +
         "\n"
         "kill -" +
         signal + " $first\nwait $first\necho $? >stopped.code\n";
}

}  // namespace

TEST_CASE("losses: what is stopped at any row goes on to the same bytes", "[examples][stopped]") {
  workplace const place("losses", PREFER_EXAMPLE_LOSSES);
  std::string const all = rows(1000);
  place.file("all.jsonl", all);
  auto const whole = place.run("--loss dpo --output whole all.jsonl");
  REQUIRE(whole.code == 0);
  // The program is fed through a pipe that stays open, so that it is stopped while it waits for row `count + 1`.
  for (int const count : {1, 255, 256, 700}) {
    for (std::string const signal : {"INT", "TERM"}) {
      INFO(count << " rows, then " << signal);
      place.file("some.jsonl", rows(count));
      place.file("stop.sh",
                 "rm -f feed; mkfifo feed\n(cat some.jsonl; sleep 5) >feed &\n" +
                     stop_by(signal, "'" PREFER_EXAMPLE_LOSSES "' --loss dpo --output part - <feed",
                             "[ -e part.unfinished ]", "0.2"));
      CHECK(place.shell("timeout 60 bash stop.sh 2>/dev/null") == 0);
      CHECK(place.content("stopped.code") == (signal == "INT" ? "130\n" : "143\n"));
      CHECK_THAT(place.content("stopped.err"),
                 StartsWith("losses: interrupted; results of " + std::to_string(count) +
                            " rows are in part.unfinished; to go on: ") &&
                     Contains("--loss dpo --output part -\n"));
      CHECK_FALSE(place.has("part"));
      auto const rest = place.run("--loss dpo --output part -", all);
      CHECK(rest.code == 0);
      CHECK(rest.err == whole.err);  // the summary is of all rows
      CHECK(place.content("part") == place.content("whole"));
      CHECK_FALSE(place.has("part.unfinished"));
      std::filesystem::remove(place / "part");
    }
  }
}

TEST_CASE("losses: finished rows are read and not made again, and belong to their input",
          "[examples][stopped]") {
  workplace const place("losses", PREFER_EXAMPLE_LOSSES);
  place.file("all.jsonl", rows(600));
  place.file("more.jsonl", rows(30000));  // more than a reader takes at once
  place.file("stop.sh",
             "mkfifo feed\n(cat more.jsonl; sleep 5) >feed &\n" +
                 stop_by("KILL", "'" PREFER_EXAMPLE_LOSSES "' --loss dpo --output part - <feed",
                         "grep -q '^{\"rows\":512' part.unfinished"));
  place.file("part", "old");
  CHECK(place.shell("timeout 60 bash stop.sh 2>/dev/null") == 0);
  CHECK(place.content("stopped.code") == "137\n");
  CHECK(place.content("part") == "old");
  std::string kept = place.content("part.unfinished");
  std::size_t const state = kept.find("{\"rows\":512");
  REQUIRE(state != std::string::npos);
  kept.resize(kept.find('\n', state) + 1);  // as if it had been killed then
  kept += "{\"loss\": 0.5, \"coeff";        // and in the middle of a line
  std::size_t const first = kept.find("{\"loss\": ");
  REQUIRE(first != std::string::npos);
  kept.replace(first, 10, "{\"mark\": 1");  // a line that no row gives
  place.file("part.unfinished", kept);

  std::string other = rows(600);
  other.replace(other.find("-1.1"), 4, "-1.5");
  auto const changed = place.run("--loss dpo --output part -", other);
  CHECK(changed.code == 1);
  CHECK_THAT(changed.err, Contains("the first 512 rows are not those whose results are here"));
  auto const settings = place.run("--loss hinge --output part all.jsonl");
  CHECK(settings.code == 1);
  CHECK_THAT(settings.err, Contains("here is unfinished work of other settings"));
  auto const fewer = place.run("--loss dpo --output part -", rows(100));
  CHECK(fewer.code == 1);
  CHECK_THAT(fewer.err, Contains("here are results of 512 rows, and the input has 100"));
  CHECK(place.content("part") == "old");

  place.file("part.unfinished", "mine");
  auto const somebodys = place.run("--loss dpo --output part all.jsonl");
  CHECK(somebodys.code == 1);
  CHECK_THAT(somebodys.err, Contains("part.unfinished: this file is not one of unfinished work"));
  CHECK(place.content("part.unfinished") == "mine");

  place.file("part.unfinished", kept);
  CHECK(place.run("--loss dpo --output part all.jsonl").code == 0);
  CHECK_THAT(place.content("part"), StartsWith("{\"mark\": 1"));
  auto const again = place.run("--loss dpo all.jsonl");
  CHECK(place.content("part").substr(place.content("part").find('\n')) ==
        again.out.substr(again.out.find('\n')));
}

TEST_CASE("recommend: a study stopped at any step of any training goes on to the same bits",
          "[examples][stopped]") {
  workplace const place("recommend", PREFER_EXAMPLE_RECOMMEND);
  place.file("ratings.inter", tiny_ratings());
  auto const data = recommend::read_ratings(place.path("ratings.inter"), {});
  recommend::study_options const options{.betas = {1.0},
                                         .seeds = 1,
                                         .factors = 4,
                                         .batch_size = 16,
                                         .start_epochs = 2,
                                         .tune_epochs = 1,
                                         .pairs_per_person = 5};
  recommend::setting const what{"dpo", 1.0, "trained"};
  // Both rows of a seed, stopped after each number of steps of the two trainings in turn.
  auto const rows_stopped_at = [&](int every) {
    program::kept_trainings kept(place.path("recommend"));
    int steps = 0;
    std::vector<recommend::study_row> out;
    for (int attempt = 0; attempt < 1000 && out.size() < 2; ++attempt) {
      out.clear();
      program::interrupted = false;
      recommend::study study(data, options, {},
                             {.kept = &kept, .on_step = [&](std::uint64_t, std::uint64_t) {
                                if (every != 0 && ++steps % every == 0) program::interrupted = true;
                              }});
      try {
        out.push_back(study.start(1));
        out.push_back(study.tune(what));
      } catch (program::stop const&) {
      }
    }
    program::interrupted = false;
    kept.forget();
    REQUIRE(out.size() == 2);
    for (auto& row : out) row.seconds = row.pairs_per_second = 0.0;
    std::string text;
    for (auto const& row : out) text += recommend::kept_json_of(row).dump() + "\n";
    return text;
  };
  std::string const whole = rows_stopped_at(0);
  CHECK(rows_stopped_at(1) == whole);
  CHECK(rows_stopped_at(5) == whole);
  CHECK(std::distance(std::filesystem::directory_iterator(place / "."), {}) == 1);  // the ratings
}

TEST_CASE("recommend: a polite kill keeps finished runs, and the same command goes on",
          "[examples][stopped]") {
  workplace const place("recommend", PREFER_EXAMPLE_RECOMMEND);
  place.file("ratings.inter", tiny_ratings());
  std::string const what =
      "--ratings ratings.inter --beta 0.1 1 --factors 4 --start-epochs 40 --epochs 2 --pairs 20 "
      "--batch-size 4 --seeds 6 --output ";
  place.file("stop.sh",
             stop_by("TERM", "'" PREFER_EXAMPLE_RECOMMEND "' " + what + "part",
                     // what the rows belong to, and one of them
                     "[ \"$(cat part/recommend.csv.unfinished 2>.none | wc -l)\" -ge 2 ]"));
  CHECK(place.shell("timeout 60 bash stop.sh 2>/dev/null") == 0);
  CHECK(place.content("stopped.code") == "143\n");
  CHECK_THAT(place.content("stopped.err"),
             StartsWith("recommend: interrupted; finished runs are in "
                        "part/recommend.csv.unfinished; to go on: ") &&
                 Contains("--ratings ratings.inter"));
  CHECK_FALSE(place.has("part/recommend.csv"));
  auto const rest = place.run(what + "part");
  CHECK(rest.code == 0);
  CHECK_THAT(rest.err, Contains("runs are in part/recommend.csv.unfinished already"));
  REQUIRE(place.run(what + "whole").code == 0);
  auto const rows_in = [&](std::string const& folder) {
    return without(rows_of(place.content(folder + "/recommend.csv")),
                   {"seconds", "pairs_per_second"});
  };
  CHECK(rows_in("part") == rows_in("whole"));
  CHECK(std::distance(std::filesystem::directory_iterator(place / "part"), {}) == 4);
}

TEST_CASE("diffusion: Ctrl-C keeps what is trained, and the same command goes on to the same bits",
          "[examples][stopped]") {
  workplace const place("diffusion", PREFER_EXAMPLE_DIFFUSION);
  std::string const what =
      "--modes 4 --preferred 0 --points 256 --hidden 8 --noise-levels 5 --batch-size 32 "
      "--start-steps 3000 --steps 20 --samples 50 --beta 100 10 --output ";
  // The first time while the start model is trained.
  place.file("stop.sh", stop_by("INT", "'" PREFER_EXAMPLE_DIFFUSION "' " + what + "part",
                                "[ -s part/.diffusion.csv.lock ]"));
  CHECK(place.shell("timeout 60 bash stop.sh 2>/dev/null") == 0);
  CHECK(place.content("stopped.code") == "130\n");
  CHECK_THAT(place.content("stopped.err"),
             StartsWith("diffusion: interrupted; what is trained is kept in part; to go on: "));
  REQUIRE(place.run(what + "part").code == 0);
  REQUIRE(place.run(what + "whole").code == 0);
  CHECK(without(rows_of(place.content("part/diffusion.csv")), {"seconds"}) ==
        without(rows_of(place.content("whole/diffusion.csv")), {"seconds"}));
  CHECK(place.content("part/diffusion.svg") == place.content("whole/diffusion.svg"));
  CHECK(std::distance(std::filesystem::directory_iterator(place / "part"), {}) == 2);
}

TEST_CASE("programs: a second Ctrl-C ends at once", "[examples][stopped]") {
  workplace const place("sweep", PREFER_EXAMPLE_SWEEP);
  // A run takes minutes, and the first signal waits for it.
  std::string const slow =
      "--loss dpo --beta 1 --reference start --seeds 2 --steps 100000000 "
      "--threads 1 --output out";
  place.file("stop.sh", "'" PREFER_EXAMPLE_SWEEP "' " + slow +
                            " 2>err &\nfirst=$!\n"
                            "while [ ! -s out/sweep.csv.journal ]; do sleep 0.01; done\nsleep 0.2\n"
                            "kill -INT $first\nsleep 0.2\nkill -INT $first\n"
                            "wait $first\necho $? >code\n");
  CHECK(place.shell("timeout 20 bash stop.sh 2>/dev/null") == 0);
  CHECK(place.content("code") == "130\n");
  CHECK(place.has("out/sweep.csv.journal"));
}
