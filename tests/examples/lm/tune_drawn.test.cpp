// SPDX-License-Identifier: MIT
//
// The program `tune` where it draws what it learns from, at every step or in rounds, and where it skips what is settled.
#include <cmath>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "tuning.hpp"

namespace {

using Catch::Matchers::Contains;
using tuning::adapter;
using tuning::json;
using tuning::lines_of;
using tuning::model;
using tuning::workplace;

// Few random bytes are UTF-8, so it takes some completions to find two of them, and few end.
std::string const drawing =
    model +
    "--raw --prompts prompts.txt --n 24 --max-tokens 3 --keep-unfinished --batch 2 --samples 0 "
    "--quiet --save-every 1 ";
// Longer lines, which hold more of what JSON escapes, score more.
std::string const judged = "--scorer-command \"awk '{ print length(\\$0) }'\" ";

struct drawing_place : workplace {
  drawing_place() { file("prompts.txt", "Once upon\nA red\nThe end of\nNumber 4 is\n"); }

  [[nodiscard]] double number(std::string const& row, std::string const& name) const {
    return json::parse(row).at(name).get<double>();
  }
};

/// Kills the command again and again, each time after it has kept something of its own, until it is done.
void kill_until_done(workplace const& place, std::string const& command, std::string const& kept) {
  int killed = 0;
  for (char const* const seconds : {"0.02", "0", "0.05"}) {
    killed +=
        place.shell("touch .begun; sleep 0.02; " + command +
                    " >.out 2>.err & of=$!; while kill -0 $of 2>/dev/null && "
                    "! [ -n \"$(find " +
                    kept +
                    " -name '*.unfinished' -newer .begun 2>/dev/null)\" ]; do sleep 0.01; done; "
                    "sleep " +
                    std::string(seconds) + "; kill -KILL $of 2>/dev/null; wait $of") != 0
            ? 1
            : 0;
  }
  CHECK(killed > 0);
  int const code = place.shell(command + " >.out 2>.err");
  INFO(place.content(".err"));
  REQUIRE(code == 0);
}

}  // namespace

TEST_CASE("tune --online: what is drawn scores more as it learns, and says what it drew",
          "[examples][tune]") {
  drawing_place const place;
  auto const run =
      place.run(drawing + judged + "--online --epochs 12 --lr 0.02 --beta 0.01 --out out");
  INFO(run.err);
  REQUIRE(run.code == 0);
  auto const all = place.summary("out");
  CHECK(all.at("reference") == "adapter-off");
  CHECK(all.at("first_loss").get<double>() == Approx(std::log(2.0)).epsilon(1e-6));
  auto const rows = lines_of(place.content("out/metrics.jsonl"));
  REQUIRE(rows.size() == 24);
  double examples = 0;
  double early = 0;
  double late = 0;
  for (std::size_t s = 0; s != rows.size(); ++s) {
    examples += place.number(rows[s], "examples");
    CHECK(place.number(rows[s], "examples") + place.number(rows[s], "skipped_prompts") == 2);
    double const score = place.number(rows[s], "score");
    if (s < 8) early += score;
    if (s >= 16) late += score;
  }
  CHECK(late > early);
  CHECK(all.at("online").at("examples") == examples);
  CHECK(examples > 12);
  CHECK_THAT(place.content("out/metrics.csv"), Contains(",score,skipped_prompts\n"));
  CHECK_THAT(place.content("out/curves.svg"), Contains("mean of what was drawn"));
}

TEST_CASE("tune --online: killed at any step, the same command goes on to the same bytes",
          "[examples][tune]") {
  drawing_place const place;
  std::string const what =
      drawing + judged + "--online --epochs 8 --lr 0.02 --reference ema:0.1 --out ";
  REQUIRE(place.run(what + "whole").code == 0);
  kill_until_done(place, "'" PREFER_EXAMPLE_TUNE "' " + what + "killed", "killed");
  for (auto const& file : {std::string("/") + adapter, std::string("/metrics.csv")}) {
    CHECK(place.content("killed" + file) == place.content("whole" + file));
  }
}

TEST_CASE(
    "tune --online: losses of every kind learn, and prompts whose answers all tie are counted",
    "[examples][tune]") {
  drawing_place const place;
  for (std::string const how :
       {"--loss plackett_luce", "--loss nll", "--loss ipo --reference frozen", "--full --lr 1e-4",
        "--loss simpo --micro-tokens 8"}) {
    INFO(how);
    auto const run = place.run(drawing + judged + "--online --out out " + how);
    INFO(run.err);
    REQUIRE(run.code == 0);
    CHECK(place.summary("out").at("online").at("examples") > 0);
  }
  // No random text is upbeat or not.
  auto const tied = place.run(drawing + "--online --scorer sentiment --out tied");
  INFO(tied.err);
  REQUIRE(tied.code == 0);
  CHECK(place.summary("tied").at("online").at("examples") == 0);
  CHECK(place.summary("tied").at("online").at("prompts_without_example") == 4);
  CHECK_FALSE(place.summary("tied").contains("first_loss"));
}

TEST_CASE("tune --rounds: a round is make_pairs and tune, and the next begins where it ended",
          "[examples][tune]") {
  drawing_place const place;
  auto const rounds = place.run(drawing + judged + "--rounds 2 --seed 5 --lr 0.02 --out rounds");
  INFO(rounds.err);
  REQUIRE(rounds.code == 0);
  std::string const pairs = "'" PREFER_EXAMPLE_MAKE_PAIRS "' --quiet " + model + judged +
                            "--raw --prompts prompts.txt --n 24 --max-tokens 3 --keep-unfinished ";
  std::string const tune =
      "'" PREFER_EXAMPLE_TUNE "' --batch 2 --samples 0 --quiet --lr 0.02 " + model;
  auto const both = [&](std::string const& seed, std::string const& of, std::string const& to) {
    REQUIRE(place.shell(pairs + of + "--seed " + seed + " --output " + to + ".jsonl 2>.err") == 0);
    REQUIRE(place.shell(tune + of + "--seed " + seed + " --data " + to + ".jsonl --out " + to +
                        " 2>.err") == 0);
  };
  both("5", "", "first");
  both("6", "--adapter first/adapter ", "second");
  for (auto const& [round, by_hand] :
       {std::pair<std::string, std::string>{"rounds/round-1", "first"},
        {"rounds/round-2", "second"}}) {
    CHECK(place.content(round + "/pairs.jsonl") == place.content(by_hand + ".jsonl"));
    CHECK(place.content(round + "/" + adapter) == place.content(by_hand + "/" + adapter));
  }
  auto const all = place.summary("rounds").at("rounds");
  REQUIRE(all.size() == 2);
  CHECK(all[0].at("tuned").at("reference") == "adapter-off");
  CHECK(all[1].at("tuned").at("reference") == "frozen");
  for (auto const& each : all) {
    CHECK(each.at("tuned").at("first_loss").get<double>() == Approx(std::log(2.0)).epsilon(1e-6));
    CHECK(each.at("drawn").at("score").at("count") == 4);
  }
  CHECK(prefer::test::rows_of(place.content("rounds/rounds.csv")).size() == 2);
  CHECK_FALSE(place.has("rounds/rounds.unfinished"));

  // The first start as reference throughout.
  auto const start = place.run(drawing + judged +
                               "--rounds 2 --seed 5 --lr 0.02 --reference adapter-off --out start");
  INFO(start.err);
  REQUIRE(start.code == 0);
  CHECK(place.content("start/round-1/" + std::string(adapter)) ==
        place.content("rounds/round-1/" + std::string(adapter)));
  CHECK(place.summary("start").at("rounds")[1].at("tuned").at("first_loss").get<double>() !=
        Approx(std::log(2.0)).epsilon(1e-4));
}

TEST_CASE("tune --rounds: killed anywhere, the same command goes on to the same bytes",
          "[examples][tune]") {
  drawing_place const place;
  std::string const what = drawing + judged + "--full --lr 1e-3 --rounds 2 --epochs 3 --out ";
  REQUIRE(place.run(what + "whole").code == 0);
  kill_until_done(place, "'" PREFER_EXAMPLE_TUNE "' " + what + "killed", "killed");
  for (std::string const file :
       {"/round-1/pairs.jsonl", "/round-1/model/model.safetensors", "/round-2/pairs.jsonl",
        "/round-2/model/model.safetensors", "/round-2/metrics.csv", "/rounds.csv"}) {
    INFO(file);
    REQUIRE_FALSE(place.content("whole" + file).empty());
    CHECK(place.content("killed" + file) == place.content("whole" + file));
  }
}

TEST_CASE("tune --skip-settled: what is left out is counted, and no micro-batch changes which",
          "[examples][tune]") {
  workplace const place;
  std::string const what = "--epochs 8 --lr 0.01 --samples 0 --beta 1 ";
  REQUIRE(place.tune(what + "--out none").code == 0);
  REQUIRE(place.tune(what + "--skip-settled 1e-30 --out nothing").code == 0);
  REQUIRE(place.tune(what + "--skip-settled 0.5 --out some").code == 0);
  REQUIRE(place.tune(what + "--skip-settled 0.5 --micro-tokens 1 --out cut").code == 0);
  auto const weights = [&](std::string const& of) { return place.content(of + "/" + adapter); };
  CHECK(weights("nothing") == weights("none"));
  CHECK(weights("some") != weights("none"));
  CHECK(weights("cut") == weights("some"));
  CHECK(place.summary("nothing").at("settled").at("examples") == 0);
  CHECK_FALSE(place.summary("none").contains("settled"));
  double settled = 0;
  for (auto const& row : prefer::test::rows_of(place.content("some/metrics.csv"))) {
    settled += prefer::test::number(row, "settled");
  }
  CHECK(settled > 0);
  CHECK(place.summary("some").at("settled").at("examples") == settled);
  CHECK(place.summary("some").at("settled").at("of") == 96);
  CHECK(place.summary("some").at("last_loss").get<double>() < 0.1);
}

TEST_CASE("tune: what does not go with drawing is refused in a sentence", "[examples][tune]") {
  drawing_place const place;
  auto const refused = [&](std::string const& more, std::string const& sentence, int code = 2) {
    auto const run = place.run(model + "--quiet --out out " + more);
    INFO(more);
    INFO(run.err);
    CHECK(run.code == code);
    CHECK_THAT(run.err, Contains(sentence));
    CHECK(run.out.empty());
  };
  std::string const online = "--raw --prompts prompts.txt --max-tokens 3 --online ";
  refused("--online", "give --model FILE and --data FILE, or --prompts FILE with");
  refused("--online --data pairs.jsonl", "--data goes without --online and --rounds");
  refused("--prompts prompts.txt", "--prompts needs --online or --rounds");
  refused(online + "--rounds 2", "does not go with");
  refused(online + "--reference cached", "drawn anew at every step, and no cache has them");
  refused("--prompts prompts.txt --rounds 2 --reference cached:a", "has rows of its own");
  refused(online + "--n 1", "of one completion nothing is preferred");
  refused(online + "--loss kto", "completions of other prompts");
  refused(online + "--scorer lengths --scorer-command cat", "give one of --scorer and");
  refused(online + "--scorer-command false", "it ended with 1", 1);
  refused("--raw --prompts prompts.txt --online --max-tokens 4096",
          "no more than the model's context");
  refused("--raw --prompts none.txt --rounds 2", "none.txt", 1);
  refused("--raw --prompts prompts.txt --rounds 2 --n 2 --max-tokens 2 --samples 0",
          "nothing to learn in this round", 1);
}
