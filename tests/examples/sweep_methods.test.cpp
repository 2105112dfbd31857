// SPDX-License-Identifier: MIT
//
// The program `sweep` with --method, as its users run it.

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <map>
#include <string>
#include <sweep/bandit.hpp>
#include <sweep/methods/method.hpp>
#include <sweep/sequences.hpp>
#include <vector>

#include "sweep_folder.hpp"

using namespace sweep_test;

namespace {

std::string const tiny =
    " --actions 4 --pairs 16 --beta 1 --steps 3 --batch 16 --seeds 2 --output ";

std::map<std::string, csv_row> last_rows(std::string const& csv) {
  std::map<std::string, csv_row> out;
  for (auto const& row : rows_of(csv)) {
    if (row.at("judged") == "last" && row.at("seed") == "1") out[row.at("method")] = row;
  }
  return out;
}

}  // namespace

TEST_CASE("sweep: every method runs with both budgets, and spends what it may",
          "[examples][sweep][methods]") {
  sweep_folder const place;
  auto const run =
      place.run("--method all --budget labels,samples --samples 64 --n 2" + tiny + "out");
  INFO(run.err);
  REQUIRE(run.code == 0);
  std::size_t labelled = 0;
  std::size_t scored = 0;
  std::map<std::string, int> seen;
  for (auto const& row : rows_of(place.content("out/sweep.csv"))) {
    if (row.at("judged") != "last") continue;
    INFO(row.at("method") << " with " << row.at("budget"));
    ++seen[row.at("method") + " " + row.at("budget")];
    bool const labels = row.at("budget") == "labels";
    CHECK(number(row, "labels") == (labels ? 16 : 0));
    CHECK(number(row, "scored") == (labels ? 0 : 64));
    CHECK(number(row, "reward") <= number(row, "best_reward") + 1e-9);
    CHECK(row.at("learned_reward").empty() == !labels);
    (labels ? labelled : scored) += 1;
  }
  auto const names = sweep::names_of_methods();
  CHECK(labelled == 2 * names.size());
  CHECK(scored == 2 * (names.size() - 1));  // the yardstick is the frontier there
  for (auto const& name : names) {
    CHECK(seen[name + " labels"] == 2);
    CHECK(seen[name + " samples"] == (name == "rlhf_optimum" ? 0 : 2));
  }
  std::string const page = place.content("out/sweep.html");
  CHECK_THAT(page, Contains("no policy is above") && Contains("true reward turns") &&
                       Contains("bandit, 64 samples") && Contains("At a KL of 0.1 nats"));
}

TEST_CASE("sweep: sequences have every method", "[examples][sweep][methods]") {
  sweep_folder const place;
  auto const run = place.run(
      "--task markov --method all --budget labels --pairs 16 --beta 1 --n 2 --steps 3 --batch 16 "
      "--seeds 1 --output out");
  INFO(run.err);
  REQUIRE(run.code == 0);
  auto const rows = last_rows(place.content("out/sweep.csv"));
  CHECK(rows.size() == sweep::names_of_methods().size());
  for (auto const& [name, row] : rows) {
    INFO(name);
    CHECK(number(row, "kl_start") > 0.0);
    CHECK(number(row, "reward") <= number(row, "best_reward") + 1e-9);
  }
}

TEST_CASE("sweep: the start, best of n and the optimum of a fitted reward are what sums say",
          "[examples][sweep][methods]") {
  sweep_folder const place;
  auto const run = place.run(
      "--method best_of_n --budget samples --samples 64 --n 1,2 --actions 4 --seeds 1 --output "
      "out");
  INFO(run.err);
  REQUIRE(run.code == 0);
  auto const rows = rows_of(place.content("out/sweep.csv"));
  REQUIRE(rows.size() == 2);
  // Of two draws the one with the higher reward: P(y) = p_y^2 + 2 p_y P(lower), rewards being all different.
  auto const all = sweep::draw_bandit(4, 1);
  double start = 0.0;
  double reward = 0.0;
  double kl = 0.0;
  for (std::size_t y = 0; y < 4; ++y) {
    double const p = std::exp(all.start[y]);
    double lower = 0.0;
    for (std::size_t z = 0; z < 4; ++z) {
      if (all.reward[z] < all.reward[y]) lower += std::exp(all.start[z]);
    }
    double const kept = p * p + 2.0 * p * lower;
    start += p * all.reward[y];
    reward += kept * all.reward[y];
    kl += kept * std::log(kept / p);
  }
  // Sums of a few numbers around 1.
  CHECK(number(rows[0], "reward") == Approx(start).margin(1e-12));
  CHECK(number(rows[0], "kl_start") == Approx(0.0).margin(1e-12));
  CHECK(number(rows[1], "reward") == Approx(reward).margin(1e-12));
  CHECK(number(rows[1], "kl_start") == Approx(kl).margin(1e-12));
  CHECK(number(rows[1], "kl_bound") == Approx(std::log(2.0) - 0.5).margin(1e-12));
}

TEST_CASE("sweep: methods that are stopped go on to the same numbers",
          "[examples][sweep][methods]") {
  sweep_folder const place;
  std::string const methods = "--method dpo,sft_on_chosen,online_dpo,iterative_dpo,ppo" + tiny;
  REQUIRE(place.run(methods + "whole --threads 2").code == 0);
  std::string const whole = place.content("whole/sweep.csv");

  // A program that was killed leaves a journal with half a line at its end.
  auto const lines = split(whole, '\n');
  std::string journal;
  for (std::size_t l = 0; l < lines.size() / 2; ++l) journal += lines[l] + "\n";
  place.file("part/sweep.csv.journal", journal + lines[lines.size() / 2].substr(0, 200));
  auto const resumed = place.run(methods + "part --threads 1");
  INFO(resumed.err);
  REQUIRE(resumed.code == 0);
  CHECK_THAT(resumed.err, Contains("are in part/sweep.csv already"));
  CHECK(without(rows_of(place.content("part/sweep.csv")), {"seconds"}) ==
        without(rows_of(whole), {"seconds"}));
  // What is there is not run again.
  auto const again = place.run(methods + "whole");
  CHECK(again.code == 0);
  CHECK(place.content("whole/sweep.csv") == whole);
}

TEST_CASE("sweep: methods without a meaning are refused in a sentence",
          "[examples][sweep][methods]") {
  check_refused("--method pp0", "--method: no method is named \"pp0\"");
  check_refused("--method dpo,,ppo", "--method: no method is named \"\"");
  check_refused("--method dpo --budget label", "there is no budget of \"label\"; did you mean");
  check_refused("--method dpo --n 5", "--n goes with --method best_of_n");
  check_refused("--method dpo --samples 64", "--samples goes with --budget samples");
  check_refused("--method dpo,iterative_dpo --fit adamw", "of these methods none asks one");
  check_refused("--method best_of_n --batch 8", "--batch is of methods that write at each step");
  check_refused("--method best_of_n --n 0", "--n: \"0\" is not a number of completions from 1");
  check_refused("--method best_of_n --budget samples --samples 32 --n 64",
                "one answer takes 64 scored completions, and there are 32 to spend");
  check_refused("--method online_dpo --beta -1", "\"-1\" is not a finite number of at least zero");
  check_refused("--method ppo --beta 0:1:log3", "\"0\" is not a finite number greater than zero");
  check_refused("--loss dpo --beta 0", "\"0\" is not a finite number greater than zero");
  check_refused("--method dpo --beta 0", "with 0 no pair says anything");
  check_refused("--method iterative_dpo --beta 0", "with 0 no pair says anything");
  check_refused("--method ppo,online_dpo --beta 0", "with 0 no pair says anything");
  check_refused("--method nash_md --beta 0", "a preference which is held near the start");
  check_refused("--method rlhf_optimum --beta 0", "it divides by beta");
  check_refused("--method online_dpo --loss ipo_sum", "--loss goes with --method dpo");
  check_refused("--method dpo --loss dpo,ipo_sum", "with --method there is one loss");
  check_refused("--method best_of_n --budget samples --fit adamw", "--fit is of reward models");
  check_refused("--method best_of_n --beta 1", "--beta: none of these methods has one");
  check_refused("--method dpo --steps 5", "--steps goes with --method sft_on_chosen");
  check_refused("--method dpo --reference start", "all methods are held near the start");
  check_refused("--method dpo --budget samples --flip 0.1", "with --budget samples nobody labels");
  check_refused("--method dpo --budget samples --pairs 8", "--pairs goes with --budget labels");
  check_refused("--method online_dpo --budget samples --samples 100 --batch 16",
                "100 samples are not spent by steps of 16");
  check_refused("--method rlhf_optimum --budget samples", "it is the frontier itself");
  check_refused("--method iterative_dpo --pairs 3", "a pair for each of its 4 rounds");
  check_refused("--budget samples", "--budget goes with --method");
  check_refused("--study rlhf --method dpo", "--study");
  sweep_folder const place;
  place.file("ratings.inter", tiny_ratings());
  for (auto const& [method, sentence] : std::vector<std::pair<std::string, std::string>>{
           {"all --budget samples", "on ratings nobody has scored everything"},
           {"ppo --batch 6", "--batch: found 6; on ratings expected a multiple of 4"},
           {"ppo --batch 400", "--batch: found 400; expected at most"}}) {
    place.check_refused("--task ratings --ratings ratings.inter --output out --method " + method,
                        sentence, 2);
  }
}

TEST_CASE(
    "sweep: without a KL term policy gradients run, and who compares pairs is said to be left out",
    "[examples][sweep][methods]") {
  sweep_folder const place;
  auto const run = place.run(
      "--method dpo,ppo,rloo,reinforce,grpo,best_of_n --n 1024 --beta 0,1 --actions 4 --pairs 16 "
      "--seeds 1 --output out");
  INFO(run.err);
  REQUIRE(run.code == 0);
  CHECK_THAT(run.err, Contains("--beta: dpo is not run at 0: beta multiplies what is compared"));
  std::map<std::string, double> learned;
  for (auto const& row : rows_of(place.content("out/sweep.csv"))) {
    if (row.at("judged") == "last") {
      learned[row.at("method") + row.at("number")] = number(row, "learned_reward");
    }
  }
  CHECK(learned.size() == 10);
  CHECK(learned.count("dpo0") == 0);
  // Nothing holds it but its steps, so that it goes where the reward model's highest score is, as the best of 1024 does of 4
  // actions. A group of four equal actions teaches nothing, which leaves a hundredth or two of them.
  double const highest = learned.at("best_of_n1024");
  for (std::string const name : {"ppo", "rloo", "reinforce", "grpo"}) {
    INFO(name);
    CHECK(learned.at(name + "0") > learned.at(name + "1"));
    CHECK(learned.at(name + "0") == Approx(highest).margin(0.02));
  }
}
