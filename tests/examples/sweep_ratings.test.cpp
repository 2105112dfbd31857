// SPDX-License-Identifier: MIT
//
// The task ratings.

#include <catch2/catch.hpp>
#include <cmath>
#include <map>
#include <prefer/version.hpp>
#include <string>
#include <sweep/methods/method.hpp>
#include <sweep/ratings.hpp>
#include <vector>

#include "sweep_folder.hpp"

using namespace sweep_test;

namespace {

std::string const on_ratings =
    " --task ratings --ratings tiny.inter --factors 4 --start-epochs 2 --pairs 60 --rate 0.01 ";

}  // namespace

TEST_CASE("sweep: ratings are learned, with every reference, and no frontier is claimed",
          "[examples][sweep]") {
  sweep_folder const place;
  place.file("tiny.inter", tiny_ratings());
  auto const run = place.run(
      on_ratings + "--loss dpo,simpo,kto,beta_dpo,odpo,rebel,plackett_luce --beta 0.1,1 " +
      "--reference start,near,far,uniform,ema,none --seeds 2 --steps 1,30 --output out");
  INFO(run.err);
  REQUIRE(run.code == 0);
  CHECK_THAT(run.out,
             Contains("NDCG@10") && Contains("No frontier is drawn") && !Contains("to frontier"));
  std::string const page = place.content("out/sweep.html");
  CHECK_THAT(page, !Contains("no policy is above") && !Contains("reward missing"));
  auto const rows = rows_of(place.content("out/sweep.csv"));
  // Five losses with beta and reference, simpo without reference, rebel without beta; two seeds, two measurements.
  CHECK(rows.size() == (5 * 2 * 6 + 2 + 6) * 2 * 2);
  CHECK_THAT(rows.front().at("settings"),
             StartsWith("sweep " PREFER_VERSION_STRING " ratings people=12 items=20 file="));
  for (auto const& one : rows) {
    INFO(one.at("loss") << " " << one.at("beta") << " " << one.at("reference"));
    CHECK(number(one, "reward") >= 0.0);
    CHECK(number(one, "reward") <= 1.0);
    CHECK(number(one, "kl_start") > 0.0);
    CHECK(one.at("best_reward").empty());
    if (one.at("reference") == "start") CHECK(one.at("kl_reference") == one.at("kl_start"));
    if (one.at("reference") == "none") CHECK(one.at("kl_reference").empty());
    if (one.at("reference") == "uniform") {
      // KL(policy || uniform) = log 20 - entropy
      CHECK(number(one, "kl_reference") > 0.0);
      CHECK(number(one, "kl_reference") < std::log(20.0));
    }
  }
}

TEST_CASE("sweep: on ratings as well, threads and interruptions change no byte",
          "[examples][sweep]") {
  sweep_folder const place;
  place.file("tiny.inter", tiny_ratings());
  std::string const what = on_ratings +
                           "--loss dpo,kto --beta 0.1,1 --reference start,near,ema --flip 0,0.2 "
                           "--bias 0.1 --seeds 3 --steps 2,10 ";
  REQUIRE(place.run(what + "--threads 1 --output one").code == 0);
  REQUIRE(place.run(what + "--threads 4 --output four").code == 0);
  std::string const csv = place.content("one/sweep.csv");
  CHECK(place.content("four/sweep.csv") == csv);
  CHECK(place.content("four/sweep.html") == place.content("one/sweep.html"));
  for (std::size_t const kept : {csv.size() / 3, csv.size() - 1}) {
    std::string const folder = "cut" + std::to_string(kept);
    place.file(folder + "/sweep.csv.journal", csv.substr(0, kept));
    REQUIRE(place.run(what + "--threads 2 --output " + folder).code == 0);
    CHECK(place.content(folder + "/sweep.csv") == csv);
    CHECK(place.content(folder + "/sweep.html") == place.content("one/sweep.html"));
  }
  // Other ratings are another task.
  std::string other = tiny_ratings();
  other.replace(other.find("\t5\t"), 3, "\t4\t");
  place.file("tiny.inter", other);
  auto const refused = place.run(what + "--output one");
  CHECK(refused.code == 1);
  CHECK_THAT(refused.err, Contains("made with other settings"));
}

TEST_CASE("sweep: pairs of ratings are a person's likes over their dislikes, and flips turn them",
          "[examples][sweep]") {
  sweep_folder const place;
  place.file("tiny.inter", tiny_ratings());
  sweep::ratings const task({.name = "ratings",
                             .pairs = 400,
                             .ratings = place.path("tiny.inter"),
                             .factors = 4,
                             .start_epochs = 1});
  auto const clean = task.make(7, {})->scores(prefer::score_kind::reward);
  for (std::size_t i = 0; i < 400; ++i) {
    REQUIRE(clean.chosen[i] == 5.0);
    REQUIRE(clean.rejected[i] == 1.0);
  }
  auto const problem = task.make(7, {.flip = 0.25});
  auto const turned = problem->scores(prefer::score_kind::reward);
  auto const ordered = problem->scores(prefer::score_kind::ordered_reward);
  auto const wins = problem->scores(prefer::score_kind::win_probability);
  double flips = 0.0;
  for (std::size_t i = 0; i < 400; ++i) {
    bool const flipped = turned.chosen[i] < turned.rejected[i];
    flips += flipped ? 1.0 : 0.0;
    CHECK(ordered.chosen[i] == 5.0);
    CHECK(wins.chosen[i] == Approx(1.0 / (1.0 + std::exp(flipped ? 4.0 : -4.0))));
  }
  CHECK(std::fabs(flips - 100.0) < 4.0 * std::sqrt(400 * 0.25 * 0.75));
  // A learner starts at the start, bit for bit, and the longer trained model is another.
  std::vector<double> chosen(400), rejected(400), reference_chosen(400), reference_rejected(400);
  for (std::string const reference : {"start", "ema", "near"}) {
    INFO(reference);
    auto const policy = problem->start(reference);
    policy->log_prob(chosen, rejected);
    policy->reference_log_prob(reference_chosen, reference_rejected);
    CHECK((chosen == reference_chosen) == (reference != "near"));
    CHECK(policy->judge().kl_start == Approx(0.0).margin(1e-6));
    CHECK_FALSE(problem->best(1.0));
  }
}

TEST_CASE("sweep: every method runs on ratings, and none has more than the optimum of its reward",
          "[examples][sweep][methods]") {
  sweep_folder const place;
  place.file("tiny.inter", tiny_ratings());
  std::string const what =
      "--task ratings --ratings tiny.inter --factors 4 --start-epochs 2 --pairs 60 --rate 0.1 "
      "--method all --beta 1 --n 1,4 --steps 5 --batch 8 --seeds 2 ";
  auto const run = place.run(what + "--threads 2 --output out");
  INFO(run.err);
  REQUIRE(run.code == 0);
  CHECK_THAT(run.out, Contains("No frontier is drawn") && Contains("KL of 0.1") &&
                          !Contains("\nthe frontier") && !Contains("to frontier"));
  CHECK_THAT(place.content("out/sweep.html"), !Contains("no policy is above"));
  auto const rows = rows_of(place.content("out/sweep.csv"));
  auto const gain = [](csv_row const& row) {
    return number(row, "learned_reward") - number(row, "kl_start");  // beta is 1
  };
  for (std::string const seed : {"1", "2"}) {
    std::map<std::string, csv_row> last;
    for (auto const& row : rows) {
      if (row.at("seed") == seed && row.at("judged") == "last") {
        last[row.at("method") + (row.at("method") == "best_of_n" ? row.at("number") : "")] = row;
      }
    }
    REQUIRE(last.size() == sweep::names_of_methods().size() + 1);
    double const most = gain(last.at("rlhf_optimum"));
    CHECK(most > 0.0);
    for (auto const& [name, row] : last) {
      INFO(name);
      CHECK(number(row, "labels") == 60);
      CHECK(number(row, "scored") == 0);
      CHECK(row.at("best_reward").empty());
      CHECK(number(row, "reward") >= 0.0);
      CHECK(number(row, "reward") <= 1.0);
      CHECK(gain(row) <= most + 1e-4);  // sums of float
      CHECK(number(row, "peak_bytes") > 0.0);
      CHECK_FALSE(row.at("reward_of_tenths").empty());
    }
    for (char const* name : {"online_dpo", "xpo", "ppo", "rloo", "reinforce"}) {
      INFO(name);
      CHECK(gain(last.at(name)) > 0.5 * most);
    }
    CHECK(number(last.at("best_of_n1"), "kl_start") == Approx(0.0).margin(1e-5));
    CHECK(number(last.at("best_of_n4"), "kl_start") <= std::log(4.0) - 0.75 + 1e-5);
    // 200 steps of 8 items, two of a person or four: 11 people in three parts of 4, 4, 3 or in six of two, the last of one.
    CHECK(number(last.at("online_dpo"), "written") == 2 * (66 * 11 + 2 * 4));
    CHECK(number(last.at("rloo"), "written") == 4 * (33 * 11 + 2 * 2));
    CHECK(number(last.at("ppo"), "written") == number(last.at("rloo"), "written"));
    CHECK(number(last.at("ppo"), "step") == 4 * 200);
    CHECK(number(last.at("iterative_dpo"), "written") == 4 * 2 * 2 * 11);  // 60 pairs and more
    CHECK(number(last.at("dpo"), "written") == 0);
  }
  // Threads change no number but the seconds, memory among them.
  REQUIRE(place.run(what + "--threads 1 --output one").code == 0);
  CHECK(without(rows_of(place.content("one/sweep.csv")), {"seconds"}) ==
        without(rows, {"seconds"}));
}
