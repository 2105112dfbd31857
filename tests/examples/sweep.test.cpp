// SPDX-License-Identifier: MIT
//
// The program `sweep` as its users run it.

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <filesystem>
#include <prefer/version.hpp>
#include <string>
#include <sweep/bandit.hpp>
#include <sweep/grid.hpp>
#include <vector>

#include "sweep_folder.hpp"

using namespace sweep_test;

TEST_CASE("sweep: --help teaches by example, and no arguments lead there", "[examples][sweep]") {
  sweep_folder const place;
  auto const help = place.run("--help");
  CHECK(help.code == 0);
  CHECK_THAT(help.out, Contains("Examples:") && Contains("--study reference"));
  auto const nothing = place.run("");
  CHECK(nothing.code == 2);
  CHECK(nothing.err == help.out);
}

TEST_CASE("sweep: one row per setting, seed and number of steps, in the order of the grid",
          "[examples][sweep]") {
  sweep_folder const place;
  auto const run = place.run(
      "--loss dpo,simpo:gamma=0.5,nll --beta 0.1:1:log3 --reference start,far --seeds 2 "
      "--steps 5,10 --flip 0,0.25 --bias 0.1 --output new/out" +
      small);
  INFO(run.err);
  REQUIRE(run.code == 0);
  std::string const csv = place.content("new/out/sweep.csv");
  CHECK_THAT(csv, StartsWith(header + "\n"));
  auto const rows = rows_of(csv);
  // dpo: 3 betas, 2 references; simpo reads no reference: 3; nll has no beta either: 1. Each with 2 flip
  // rates, 2 seeds and 2 numbers of steps.
  CHECK(rows.size() == (3 * 2 + 3 + 1) * 2 * 2 * 2);
  CHECK(rows[0].at("settings") == "sweep " PREFER_VERSION_STRING " bandit actions=8 pairs=40");
  CHECK(rows[0].at("steps") == "5");
  CHECK(rows[1].at("steps") == "10");
  CHECK(rows[2].at("seed") == "2");
  CHECK(rows[4].at("beta") == "0.316");  // sqrt(0.1), to three digits
  CHECK(rows[0].at("bias") == "0.1");
  CHECK(rows[12].at("flip") == "0.25");
  CHECK(rows[48].at("loss") == "simpo gamma=0.5");
  CHECK(rows[48].at("reference") == "none");
  CHECK(rows[48].at("kl_reference").empty());
  CHECK(rows.back().at("loss") == "nll");
  CHECK(rows.back().at("beta").empty());
  CHECK_FALSE(place.has("new/out/sweep.csv.journal"));
}

TEST_CASE("sweep: the report is one page with its pictures inside", "[examples][sweep]") {
  sweep_folder const place;
  auto const run = place.run(
      "--loss dpo,hinge --beta 0.2,1 --reference start --seeds 3 --steps 5 --flip 0,0.1,0.3 "
      "--output out" +
      small);
  REQUIRE(run.code == 0);
  CHECK_THAT(run.out, Contains("paired difference") && Contains("30 % flipped"));
  std::string const page = place.content("out/sweep.html");
  CHECK_THAT(page, StartsWith("<!DOCTYPE html>") && Contains("no policy is above") &&
                       Contains("KL(policy || start), nats") && Contains("flipped labels, %") &&
                       Contains("reward missing at equal KL"));
  // Reward, frontier, distance and flips, for one number of steps and one reference; each plot is an element
  // with its clipped area inside.
  std::size_t pictures = 0;
  for (std::size_t at = page.find("<svg xmlns"); at != std::string::npos;
       at = page.find("<svg xmlns", at + 1)) {
    ++pictures;
  }
  CHECK(pictures == 4);
  for (char const* outside : {"src=", "href=", "<?xml", "url("}) {
    CHECK(page.find(outside) == std::string::npos);
  }
}

TEST_CASE("sweep: any number of threads gives the same bytes", "[examples][sweep]") {
  sweep_folder const place;
  std::string const what =
      "--loss dpo,kto --beta 0.1,1 --reference start,near --seeds 5 --steps 3,20" + small;
  REQUIRE(place.run(what + "--threads 1 --output one").code == 0);
  REQUIRE(place.run(what + "--threads 2 --output two").code == 0);
  REQUIRE(place.run(what + "--threads 5 --output five").code == 0);
  std::string const csv = place.content("one/sweep.csv");
  CHECK(rows_of(csv).size() == 2 * 2 * 2 * 5 * 2);
  CHECK(place.content("two/sweep.csv") == csv);
  CHECK(place.content("five/sweep.csv") == csv);
  CHECK(place.content("two/sweep.html") == place.content("one/sweep.html"));
}

TEST_CASE("sweep: what was cut off anywhere goes on to the same bytes", "[examples][sweep]") {
  sweep_folder const place;
  std::string const what =
      "--loss dpo --beta 0.1,1 --reference start,near --seeds 3 --steps 3,20" + small;
  auto const whole = place.run(what + "--output whole");
  REQUIRE(whole.code == 0);
  std::string const csv = place.content("whole/sweep.csv");
  std::string const page = place.content("whole/sweep.html");

  // As if the program had been killed while it wrote: a journal of any length, most of them in mid-line.
  std::size_t const body = header.size() + 1;
  for (std::size_t const kept : {std::size_t{0}, header.size() / 2, body, body + 20, csv.size() / 2,
                                 csv.size() - 1, csv.size()}) {
    INFO(kept << " bytes kept");
    std::filesystem::path const folder = "cut" + std::to_string(kept);
    place.file((folder / "sweep.csv.journal").string(), csv.substr(0, kept));
    REQUIRE(place.run(what + "--output " + folder.string()).code == 0);
    CHECK(place.content((folder / "sweep.csv").string()) == csv);
    CHECK(place.content((folder / "sweep.html").string()) == page);
    CHECK_FALSE(place.has((folder / "sweep.csv.journal").string()));
  }

  // Rows that are there are read and not made again: a number that no run gives stays.
  std::string marked = csv;
  std::size_t const first = csv.find(",20,") + 4;
  marked.replace(first, csv.find(',', first) - first, "0.125");
  place.file("marked/sweep.csv", marked);
  auto const again = place.run(what + "--output marked");
  REQUIRE(again.code == 0);
  CHECK_THAT(again.err, Contains("12 runs, of which 12 are in"));
  CHECK(place.content("marked/sweep.csv") == marked);
}

TEST_CASE("sweep: Ctrl-C leaves whole rows, and the same command goes on",
          "[examples][sweep][slow]") {
  sweep_folder const place;
  // A run takes a few milliseconds, all of them half a minute: the signal comes in between, later where a busy machine has
  // not begun by then.
  std::string const what =
      "--loss dpo --beta 0.1 --reference start --seeds 4000 --steps 2000 --threads 2";
  auto const rows_of_it = [&] {
    return place.has("out/sweep.csv") ? rows_of(place.content("out/sweep.csv"))
                                      : std::vector<csv_row>{};
  };
  auto stopped = place.run(what + " --output out", "", "timeout --signal=INT 1");
  for (char const* seconds : {"4", "16"}) {
    if (rows_of_it().size() >= 2) break;
    stopped = place.run(what + " --output out", "", std::string("timeout --signal=INT ") + seconds);
  }
  INFO(stopped.err);
  // timeout reports its own code where the time was up, and the program's message is there.
  CHECK(stopped.code == 124);
  CHECK_THAT(stopped.err, Contains("interrupted; finished runs are in out/sweep.csv"));
  CHECK(stopped.out.empty());
  CHECK_FALSE(place.has("out/sweep.html"));
  auto const rows = rows_of_it();
  REQUIRE(rows.size() >= 2);
  REQUIRE(rows.size() < 4000);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    CHECK(rows[i].at("seed") ==
          std::to_string(i + 1));  // seeds are taken in order, none is left out
  }

  std::string const few = "--loss dpo --beta 0.1 --reference start --seeds 2 --steps 2000";
  auto const went_on = place.run(few + " --output out");
  CHECK(went_on.code == 0);
  CHECK_THAT(went_on.err, Contains("2 runs, of which 2 are in"));
  // Rows of the larger grid are kept.
  CHECK(rows_of(place.content("out/sweep.csv")).size() == rows.size());
  REQUIRE(place.run(few + " --output fresh").code == 0);
  CHECK(place.content("fresh/sweep.html") == place.content("out/sweep.html"));
}

TEST_CASE("sweep: a file of other settings, another version or another shape is refused",
          "[examples][sweep]") {
  sweep_folder const place;
  std::string const what =
      "--loss dpo --beta 1 --reference start --seeds 1 --steps 2 --output out ";
  REQUIRE(place.run(what + small).code == 0);
  std::string const csv = place.content("out/sweep.csv");
  auto const refused = [&](std::string const& arguments, std::string const& sentence) {
    auto const run = place.run(what + arguments);
    INFO(run.err);
    CHECK(run.code == 1);
    CHECK(run.out.empty());
    CHECK(std::count(run.err.begin(), run.err.end(), '\n') == 1);
    CHECK_THAT(run.err, StartsWith("sweep: out/sweep.csv:") && Contains(sentence));
  };
  refused("--actions 9 --pairs 40",
          ":2: made with other settings, \"sweep " PREFER_VERSION_STRING
          " bandit actions=8 pairs=40\" where these are "
          "\"sweep " PREFER_VERSION_STRING " bandit actions=9 pairs=40\"");
  CHECK(place.content("out/sweep.csv") == csv);
  std::string other = csv;
  other.replace(other.find(PREFER_VERSION_STRING), std::strlen(PREFER_VERSION_STRING), "0.0.9");
  place.file("out/sweep.csv", other);
  refused(small, "made with other settings, \"sweep 0.0.9");
  place.file("out/sweep.csv", "a,b,c\n1,2,3\n");
  refused(small, ":1: these are not the columns");
  place.file("out/sweep.csv", header + "\n1,2,3\n");
  refused(small, ":2: expected 12 fields");
  place.file("out/sweep.csv", csv.substr(0, csv.size() - 1));
  refused(small, "the file was cut off");
}

TEST_CASE("sweep: each bad argument gets one sentence", "[examples][sweep]") {
  check_refused("--loss dop", "did you mean \"dpo\"?");
  check_refused("--loss dpo,", "has an empty place");
  check_refused("--loss dpo:beta=0.1", "--loss dpo:beta=0.1: beta comes from --beta");
  check_refused("--loss dpo:gamma=1", "dpo has no hyper-parameter \"gamma\"");
  check_refused("--loss dpo:label_smoothing=x", "\"x\" is not a finite number");
  check_refused("--loss xpo", "it reads chosen_from_reference, which no task of this program has");
  check_refused("--loss tdpo1",
                "it reads divergence, which a policy over tokens gives: --task markov");
  check_refused("--task markov --loss nash_md", "what the policy itself has just written");
  check_refused("--loss tpo", "--loss tpo: it takes lists of 3 completions");
  check_refused("--beta 0", "--beta: \"0\" is not a finite number greater than zero");
  check_refused("--beta 0.1,nan", "\"nan\" is not a finite number");
  check_refused("--beta 0.1:1", "\"0.1:1\" is not a range; expected LOW:HIGH:logN");
  check_refused("--beta 0.1:1:exp3", "is not a range");
  check_refused("--beta 0.1:1:log", "is not a range");
  check_refused("--beta 1:0.1:log3", "must rise from LOW to HIGH");
  check_refused("--beta 0.1:1:log1", "has 1 numbers; expected 2 to 1000");
  check_refused("--reference strat",
                "no reference \"strat\"; did you mean \"start\"? Known: start");
  check_refused("--flip 0.6", "\"0.6\" is not a probability from 0 to 0.5");
  check_refused("--bias 2", "--bias: found \"2\"; expected a number from 0 to 1");
  check_refused("--steps 0", "\"0\" is not a number of steps");
  check_refused("--steps 2.5", "\"2.5\" is not a number of steps");
  check_refused("--task bigram", "did you mean \"markov\"?");
  check_refused("--task game", "--task: found \"game\"; expected bandit, markov or ratings");
  check_refused("--task ratings", "--task ratings: give --ratings FILE");
  check_refused("--task ratings --ratings none.inter", "none.inter", 1);
  check_refused("--ratings none.inter",
                "--ratings goes with --task ratings, and this is --task bandit");
  check_refused("--task markov --factors 4", "--factors goes with --task ratings");
  check_refused("--task markov --actions 4", "--actions goes with --task bandit");
  check_refused("--task ratings --ratings x --rate 0", "--rate");
  check_refused("--seeds 0", "--seeds");
  check_refused("--study references", "--study");
  check_refused("--study reference --seeds 3", "--study");
  check_refused("--bata 1", "--bata");
  check_refused("--actions 2 --pairs 1 --seeds 9 --beta 1 --reference start --steps 1 --threads 1",
                "only pairs of equal completions, 1 of them; ask for more --pairs");
}

TEST_CASE("sweep: ranges are even in the logarithm or in the number, and lists may be mixed",
          "[examples][sweep]") {
  // 0.01 * 10^(i / 2)
  CHECK(sweep::read_betas("--beta", "0.01:1:log5") ==
        std::vector<double>{0.01, 0.0316, 0.1, 0.316, 1});
  CHECK(sweep::read_betas("--beta", "1:2:lin3,5,0.5,2") == std::vector<double>{0.5, 1, 1.5, 2, 5});
  CHECK(sweep::read_flips("--flip", "0.3,0,0.1") == std::vector<double>{0, 0.1, 0.3});
  CHECK(sweep::read_whole("--steps", "2000,200", "steps") == std::vector<std::uint64_t>{200, 2000});
  auto const losses =
      sweep::read_losses("--loss", "sigmoid,simpo:gamma=1,label_smoothing=0.10,dpo");
  REQUIRE(losses.size() == 2);  // sigmoid is dpo's other name
  CHECK(losses[0].text == "dpo");
  CHECK(losses[1].text == "simpo gamma=1 label_smoothing=0.1");
}

TEST_CASE("sweep: the report warns where a best beta is an end of the grid",
          "[examples][sweep][slow]") {
  sweep_folder const place;
  auto const warned = [&](std::string const& betas) {
    auto const run = place.run("--loss dpo --beta " + betas +
                               " --reference start --seeds 10 --steps 2000 --output out");
    REQUIRE(run.code == 0);
    return run.out;
  };
  CHECK_THAT(warned("2,5"),
             Contains("lowest beta of the grid, 2: dpo (start); a wider grid may do"));
  CHECK_THAT(warned("0.001,0.5"), Contains("highest beta of the grid, 0.5: dpo (start);"));
  CHECK_THAT(warned("0.001,0.5,5"), !Contains("wider grid"));
  CHECK_THAT(warned("5"), !Contains("wider grid"));
}
