// SPDX-License-Identifier: MIT
//
// The program `sweep` with --method: an option is read or refused, and one seed or many comparisons prove nothing.

#include <catch2/catch.hpp>
#include <map>
#include <string>
#include <sweep/method_findings.hpp>
#include <sweep/methods/method.hpp>
#include <vector>

#include "sweep_folder.hpp"

using namespace sweep_test;

namespace {

/// What a run came to, without what its rows are found by.
std::vector<csv_row> numbers_in(std::string const& csv) {
  return without(rows_of(csv), {"settings", "task", "budget", "amount", "fit", "loss", "number",
                                "flip", "bias", "seed", "peak_bytes", "seconds"});
}

std::map<std::string, std::string> options_of(std::string const& method, bool labels) {
  std::map<std::string, std::string> out = {{"--actions", "4"}, {"--seeds", "1"}};
  out[labels ? "--pairs" : "--samples"] = labels ? "16" : "64";
  if (method == "best_of_n") {
    out["--n"] = "2";
  } else if (method == "sft_on_chosen") {
    out["--steps"] = "3";
  } else {
    out["--beta"] = "1";
  }
  return out;
}

std::string written(std::map<std::string, std::string> const& options) {
  std::string out;
  for (auto const& [name, value] : options) out += " " + name + " " + value;
  return out;
}

}  // namespace

TEST_CASE("law: sweep: another value of an option changes a method's numbers, or is refused",
          "[examples][sweep][methods][slow]") {
  // A value that is not the option's usual one.
  std::map<std::string, std::string> const others = {
      {"--pairs", "24"},      {"--samples", "128"},   {"--fit", "adamw"}, {"--n", "3"},
      {"--batch", "32"},      {"--first-seed", "5"},  {"--beta", "2"},    {"--loss", "ipo_sum"},
      {"--flip", "0.3"},      {"--bias", "0.5"},      {"--steps", "4"},   {"--rate", "0.05"},
      {"--actions", "5"},     {"--reference", "far"}, {"--seeds", "2"},   {"--factors", "8"},
      {"--start-epochs", "2"}};
  sweep_folder const place;
  std::size_t read = 0;
  for (std::string const budget : {"labels", "samples"}) {
    for (auto const& method : sweep::names_of_methods()) {
      bool const labels = budget == "labels";
      if (!labels && method == "rlhf_optimum") continue;
      std::string const which = "--method " + method + " --budget " + budget;
      auto const usual = options_of(method, labels);
      REQUIRE(place.run(which + written(usual) + " --output " + budget + method).code == 0);
      auto const numbers = numbers_in(place.content(budget + method + "/sweep.csv"));
      for (auto const& [name, value] : others) {
        auto other = usual;
        other[name] = value;
        INFO(which << ' ' << name << ' ' << value);
        std::string const out = budget + method + name;
        auto const run = place.run(which + written(other) + " --output " + out);
        if (run.code == 0) {
          ++read;
          CHECK_FALSE(numbers_in(place.content(out + "/sweep.csv")) == numbers);
        } else {
          CHECK(run.code == 2);
          CHECK_THAT(run.err, Contains("--"));
          CHECK_FALSE(place.has(out));
        }
      }
    }
  }
  // Of labels all 12 read --pairs, --first-seed, --flip, --bias, --actions and --seeds; 9 --fit, 10 --beta, 7 --batch and
  // --rate, one each --n, --steps and --loss. Of samples 11 read four of the first and --samples; 9 --beta and the rest alike.
  CHECK(read == 12 * 6 + 9 + 10 + 2 * 7 + 3 + 11 * 4 + 9 + 2 * 7 + 3);
}

TEST_CASE("sweep: with a budget of samples nobody labels, whatever other labels are like",
          "[examples][sweep][methods]") {
  sweep_folder const place;
  std::string const few = "--method dpo,iterative_dpo --beta 1 --actions 4 --samples 64 --seeds 2 ";
  REQUIRE(place.run(few + "--budget samples --output alone").code == 0);
  REQUIRE(place
              .run(few + "--budget labels,samples --flip 0.1,0.3 --bias 0.2 --pairs 16 --output "
                         "both")
              .code == 0);
  std::vector<csv_row> samples;
  std::map<std::string, int> flips;
  for (auto const& row : rows_of(place.content("both/sweep.csv"))) {
    if (row.at("budget") == "samples") samples.push_back(row);
    if (row.at("judged") == "last") ++flips[row.at("budget") + row.at("flip")];
  }
  CHECK(without(samples, {"seconds"}) ==
        without(rows_of(place.content("alone/sweep.csv")), {"seconds"}));
  CHECK(flips == std::map<std::string, int>{{"labels0.1", 4}, {"labels0.3", 4}, {"samples0", 4}});
  // Every rate of flips has its own findings, under its own title.
  CHECK_THAT(
      place.content("both/sweep.html"),
      Contains("16 labels, 10 % of labels flipped, 20 % of labels from a biased annotator") &&
          Contains("16 labels, 30 % of labels flipped"));
}

TEST_CASE("sweep: one seed tells no method from another, and no turn from noise",
          "[examples][sweep][methods]") {
  sweep_folder const place;
  auto const run = place.run(
      "--method dpo,ppo,best_of_n --n 1,2,64,4096 --beta 0.1,1 --pairs 16 --seeds 1 --output out");
  INFO(run.out);
  REQUIRE(run.code == 0);
  std::string const page = place.content("out/sweep.html");  // whose lines are not wrapped
  CHECK_THAT(page, Contains("less, which one seed has no error to judge by") &&
                       Contains("Whether the true reward turns one seed does not tell"));
  CHECK_THAT(page, !Contains("without a spread") && !Contains("Over-optimisation") &&
                       !Contains("does not turn"));
  // A fall of one seed; then of two.
  std::vector<sweep::curve_point> along = {
      {.number = 1, .step = 1, .truth = {1.0}, .learned = {0.0}, .kl = {0.5}},
      {.number = 2, .step = 2, .truth = {0.5}, .learned = {1.0}, .kl = {1.0}}};
  CHECK_FALSE(sweep::turn_of(along).found);
  CHECK_FALSE(sweep::turn_of(along).judged);
  along[0] = {.number = 1, .step = 1, .truth = {1.0, 1.0}, .learned = {0.0, 0.0}, .kl = {1.0, 1.0}};
  along[1] = {.number = 2, .step = 2, .truth = {0.5, 0.4}, .learned = {1.0, 1.0}, .kl = {2.0, 2.0}};
  CHECK(sweep::turn_of(along).found);
  // What has come to rest falls by rounding, at all seeds alike.
  along[1].truth = {1.0 - 1e-15, 1.0 - 1e-15};
  CHECK(sweep::turn_of(along).judged);
  CHECK_FALSE(sweep::turn_of(along).found);
}

TEST_CASE("sweep: the start, where rounding leaves less than no KL, is where lines begin",
          "[examples][sweep][methods]") {
  // sqrt(KL) is 0 and 2: at 1 half of the way from 3 to 5.
  CHECK(*sweep::reward_at({{-1e-8, 3.0}, {4.0, 5.0}}, 3.0, 1.0) == Approx(4.0).epsilon(1e-12));
}

TEST_CASE("sweep: what no optimum and no optimizer of a method reads is refused in a sentence",
          "[examples][sweep][methods]") {
  check_refused("--method dpo,best_of_n --rate 0.5", "--rate is of methods that take AdamW");
  check_refused("--method rlhf_optimum --beta 1e-308", "a reward that is divided by it overflows");
}
