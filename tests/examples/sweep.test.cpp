// SPDX-License-Identifier: MIT
//
// The program `sweep` as its users run it, on grids that take milliseconds.

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <sweep/bandit.hpp>
#include <sweep/grid.hpp>
#include <sweep/objective.hpp>
#include <sweep/ratings.hpp>
#include <sweep/sequences.hpp>
#include <vector>

#include "workplace.hpp"

namespace {

using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;
using prefer::test::outcome;

class workplace : public prefer::test::workplace {
 public:
  workplace() : prefer::test::workplace("sweep") {}
  [[nodiscard]] outcome sweep(std::string const& arguments, std::string const& before = "") const {
    return run(PREFER_EXAMPLE_SWEEP, arguments, before);
  }
};

/// 12 people who rated 15 of 20 items with 5 or, every third, with 1.
std::string tiny_ratings() {
  std::ostringstream out;
  out << "user_id:token\titem_id:token\trating:float\ttimestamp:float\n";
  for (int user = 0; user < 12; ++user) {
    for (int k = 0; k < 15; ++k) {
      int const item = (user * 7 + k * 3) % 20;
      out << 'u' << user << "\ti" << item << '\t' << ((item + user) % 3 != 0 ? 5 : 1) << '\t'
          << 1000 + k << '\n';
    }
  }
  return out.str();
}
std::string const on_ratings =
    " --task ratings --ratings tiny.inter --factors 4 --start-epochs 2 --pairs 60 --rate 0.01 ";

std::string const small = " --actions 8 --pairs 40 ";
std::string const header =
    "settings,loss,beta,reference,flip,bias,seed,steps,reward,kl_start,kl_reference,best_reward";

using row = std::map<std::string, std::string>;

std::vector<std::string> split(std::string const& line, char separator) {
  std::vector<std::string> out(1);
  for (char const c : line) {
    if (c == separator) {
      out.emplace_back();
    } else {
      out.back() += c;
    }
  }
  return out;
}

std::vector<row> rows_of(std::string const& csv) {
  auto lines = split(csv, '\n');
  REQUIRE(lines.size() >= 2);
  REQUIRE(lines.back().empty());  // the last line has its end
  lines.pop_back();
  auto const names = split(lines.front(), ',');
  std::vector<row> out;
  for (std::size_t l = 1; l < lines.size(); ++l) {
    auto const fields = split(lines[l], ',');
    REQUIRE(fields.size() == names.size());
    out.emplace_back();
    for (std::size_t f = 0; f < fields.size(); ++f) out.back()[names[f]] = fields[f];
  }
  return out;
}

double number(row const& from, std::string const& name) { return std::stod(from.at(name)); }

/// One sentence, an exit code (2 for arguments), and no report.
void check_refused(std::string const& arguments, std::string const& sentence, int code = 2) {
  workplace const place;
  auto const run = place.sweep(arguments + " --output out");
  INFO(arguments << "\n" << run.err);
  CHECK(run.code == code);
  CHECK(run.out.empty());
  CHECK(std::count(run.err.begin(), run.err.end(), '\n') == 1);
  CHECK_THAT(run.err, StartsWith("sweep: ") && Contains(sentence));
  CHECK_FALSE(place.has("out/sweep.csv"));
}

}  // namespace

TEST_CASE("sweep: --help teaches by example, and no arguments lead there", "[examples][sweep]") {
  workplace const place;
  auto const help = place.sweep("--help");
  CHECK(help.code == 0);
  CHECK_THAT(help.out, Contains("Examples:") && Contains("--study reference"));
  auto const nothing = place.sweep("");
  CHECK(nothing.code == 2);
  CHECK(nothing.err == help.out);
}

TEST_CASE("sweep: one row per setting, seed and number of steps, in the order of the grid",
          "[examples][sweep]") {
  workplace const place;
  auto const run = place.sweep(
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
  CHECK(rows[0].at("settings") == "sweep 0.1.0 bandit actions=8 pairs=40");
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
  workplace const place;
  auto const run = place.sweep(
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
  workplace const place;
  std::string const what =
      "--loss dpo,kto --beta 0.1,1 --reference start,near --seeds 5 --steps 3,20" + small;
  REQUIRE(place.sweep(what + "--threads 1 --output one").code == 0);
  REQUIRE(place.sweep(what + "--threads 2 --output two").code == 0);
  REQUIRE(place.sweep(what + "--threads 5 --output five").code == 0);
  std::string const csv = place.content("one/sweep.csv");
  CHECK(rows_of(csv).size() == 2 * 2 * 2 * 5 * 2);
  CHECK(place.content("two/sweep.csv") == csv);
  CHECK(place.content("five/sweep.csv") == csv);
  CHECK(place.content("two/sweep.html") == place.content("one/sweep.html"));
}

TEST_CASE("sweep: what was cut off anywhere goes on to the same bytes", "[examples][sweep]") {
  workplace const place;
  std::string const what =
      "--loss dpo --beta 0.1,1 --reference start,near --seeds 3 --steps 3,20" + small;
  auto const whole = place.sweep(what + "--output whole");
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
    REQUIRE(place.sweep(what + "--output " + folder.string()).code == 0);
    CHECK(place.content((folder / "sweep.csv").string()) == csv);
    CHECK(place.content((folder / "sweep.html").string()) == page);
    CHECK_FALSE(place.has((folder / "sweep.csv.journal").string()));
  }

  // Rows that are there are read and not made again: a number that no run gives stays.
  std::string marked = csv;
  std::size_t const first = csv.find(",20,") + 4;
  marked.replace(first, csv.find(',', first) - first, "0.125");
  place.file("marked/sweep.csv", marked);
  auto const again = place.sweep(what + "--output marked");
  REQUIRE(again.code == 0);
  CHECK_THAT(again.err, Contains("12 runs, of which 12 are in"));
  CHECK(place.content("marked/sweep.csv") == marked);
}

TEST_CASE("sweep: Ctrl-C leaves whole rows, and the same command goes on",
          "[examples][sweep][slow]") {
  workplace const place;
  // A run takes a few milliseconds, all of them half a minute: the signal comes in between.
  std::string const what =
      "--loss dpo --beta 0.1 --reference start --seeds 4000 --steps 2000 --threads 2";
  auto const stopped = place.sweep(what + " --output out", "timeout --signal=INT 1");
  INFO(stopped.err);
  // timeout reports its own code where the time was up, and the program's message is there.
  CHECK(stopped.code == 124);
  CHECK_THAT(stopped.err, Contains("interrupted; finished runs are in out/sweep.csv"));
  CHECK(stopped.out.empty());
  CHECK_FALSE(place.has("out/sweep.html"));
  auto const rows = rows_of(place.content("out/sweep.csv"));
  REQUIRE(rows.size() >= 2);
  REQUIRE(rows.size() < 4000);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    CHECK(rows[i].at("seed") ==
          std::to_string(i + 1));  // seeds are taken in order, none is left out
  }

  std::string const few = "--loss dpo --beta 0.1 --reference start --seeds 2 --steps 2000";
  auto const went_on = place.sweep(few + " --output out");
  CHECK(went_on.code == 0);
  CHECK_THAT(went_on.err, Contains("2 runs, of which 2 are in"));
  // Rows of the larger grid are kept.
  CHECK(rows_of(place.content("out/sweep.csv")).size() == rows.size());
  REQUIRE(place.sweep(few + " --output fresh").code == 0);
  CHECK(place.content("fresh/sweep.html") == place.content("out/sweep.html"));
}

TEST_CASE("sweep: a file of other settings, another version or another shape is refused",
          "[examples][sweep]") {
  workplace const place;
  std::string const what =
      "--loss dpo --beta 1 --reference start --seeds 1 --steps 2 --output out ";
  REQUIRE(place.sweep(what + small).code == 0);
  std::string const csv = place.content("out/sweep.csv");
  auto const refused = [&](std::string const& arguments, std::string const& sentence) {
    auto const run = place.sweep(what + arguments);
    INFO(run.err);
    CHECK(run.code == 1);
    CHECK(run.out.empty());
    CHECK(std::count(run.err.begin(), run.err.end(), '\n') == 1);
    CHECK_THAT(run.err, StartsWith("sweep: out/sweep.csv:") && Contains(sentence));
  };
  refused("--actions 9 --pairs 40",
          ":2: made with other settings, \"sweep 0.1.0 bandit actions=8 pairs=40\" where these are "
          "\"sweep 0.1.0 bandit actions=9 pairs=40\"");
  CHECK(place.content("out/sweep.csv") == csv);
  std::string other = csv;
  other.replace(other.find("0.1.0"), 5, "0.0.9");
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
  check_refused("--loss dpo:gamma=1", "dpo has no parameter \"gamma\"");
  check_refused("--loss dpo:label_smoothing=x", "\"x\" is not a finite number");
  check_refused("--loss xpo", "it reads chosen_from_reference, which no task of this program has");
  check_refused("--loss tdpo1",
                "it reads divergence, which a policy over tokens gives: --task bigram");
  check_refused("--task bigram --loss nash_md", "what the policy itself has just written");
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
  check_refused("--bias 2", "--bias: expected a probability from 0 to 1");
  check_refused("--steps 0", "\"0\" is not a number of steps");
  check_refused("--steps 2.5", "\"2.5\" is not a number of steps");
  check_refused("--task game", "no task is named \"game\"; known: bandit, bigram, ratings");
  check_refused("--task ratings", "--task ratings: give --ratings FILE");
  check_refused("--task ratings --ratings none.inter", "none.inter", 1);
  check_refused("--ratings none.inter",
                "--ratings goes with --task ratings, and this is --task bandit");
  check_refused("--task bigram --factors 4", "--factors goes with --task ratings");
  check_refused("--task bigram --actions 4", "--actions goes with --task bandit");
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
  CHECK(sweep::read_steps("--steps", "2000,200") == std::vector<std::uint64_t>{200, 2000});
  auto const losses =
      sweep::read_losses("--loss", "sigmoid,simpo:gamma=1,label_smoothing=0.10,dpo");
  REQUIRE(losses.size() == 2);  // sigmoid is dpo's other name
  CHECK(losses[0].text == "dpo");
  CHECK(losses[1].text == "simpo gamma=1 label_smoothing=0.1");
}

TEST_CASE("sweep: no run is above the closed-form optimum of its problem",
          "[examples][sweep][slow]") {
  workplace const place;
  auto const run = place.sweep(
      "--loss dpo,ipo_sum,kto,orpo,nll --beta 0.05,0.5,5 --reference start,far --seeds 3 "
      "--steps 1,30,300 --output out" +
      small);
  INFO(run.err);
  REQUIRE(run.code == 0);
  auto const rows = rows_of(place.content("out/sweep.csv"));
  double nearest = HUGE_VAL;
  for (auto const& one : rows) {
    auto const all = sweep::draw_bandit(8, std::stoul(one.at("seed")));
    double const reward = number(one, "reward");
    double const kl = number(one, "kl_start");
    // Weak duality, for every beta and policy:
    //   E[R] <= beta KL(policy || start) + beta log E_start[exp(R / beta)]
    // The smallest right side over beta is the optimum at this KL: no bisection, no policy.
    double bound = HUGE_VAL;
    for (double beta = 1e5; beta > 0.002; beta /= 1.02) {
      double largest = -HUGE_VAL;
      for (double const r : all.reward) largest = std::max(largest, r / beta);
      double sum = 0.0;
      for (std::size_t i = 0; i < all.reward.size(); ++i) {
        sum += std::exp(all.start[i] + all.reward[i] / beta - largest);
      }
      bound = std::min(bound, beta * kl + beta * (largest + std::log(sum)));
    }
    INFO(one.at("loss") << " beta " << one.at("beta") << " seed " << one.at("seed"));
    // beta log E[exp(...)] cancels: 1e5 times a few roundings of 1e-16.
    CHECK(reward <= bound + 1e-9);
    CHECK(number(one, "best_reward") <= bound + 1e-9);
    // Some beta of the grid is within 0.01 of the best in log beta, where the right side has the second
    // derivative Var(R) / beta. Var is below 4, and gone where beta is below 0.1: half of 0.01^2 * 40.
    CHECK(number(one, "best_reward") >= bound - 2e-3);
    nearest = std::min(nearest, bound - reward);
  }
  // The bound is one that runs come close to, not one that anything would keep.
  CHECK(nearest < 0.02);
}

TEST_CASE("sweep: dpo's step is 4 / beta, and other losses' steps follow from their formulas",
          "[examples][sweep][slow]") {
  auto const step = [](std::string const& loss, double beta, std::size_t tokens = 1) {
    return sweep::step_size(sweep::describe_loss(loss), beta, tokens).step;
  };
  for (double const beta : {0.01, 0.3, 5.0}) {
    INFO("beta " << beta);
    CHECK(step("dpo", beta) == Approx(4.0 / beta).epsilon(1e-14));
    CHECK(step("plackett_luce", beta) == Approx(4.0 / beta).epsilon(1e-14));
    // Where nothing is unusual, a loss that sets dpo's beta sets it to what it was. Its memory has a relative
    // 0.9^200 = 1e-9 to go, which enters through a difference.
    CHECK(step("beta_dpo", beta) == Approx(4.0 / beta).epsilon(1e-6));
    // (t - 1 / (2 beta))^2: slope 1 / beta at 0, curvature 2, and it grows: min(2 beta, min(beta, 1) / 2).
    CHECK(step("ipo_sum", beta) == Approx(std::min(beta, 1.0) / 2.0).epsilon(1e-9));
    // max(0, 1 - beta t): slope beta, which changes by beta within 1 / beta nats: min(2 / beta, 1 / beta).
    CHECK(step("hinge", beta) == Approx(1.0 / beta).epsilon(1e-9));
  }
  // Per token: slope and curvature are those of t / 4, a quarter and a sixteenth.
  CHECK(step("ipo", 0.5, 4) == Approx(16 * 0.25).epsilon(1e-9));
}

TEST_CASE("sweep: no loss diverges, however large beta and far the reference",
          "[examples][sweep][slow]") {
  workplace const place;
  auto const run = place.sweep(
      "--loss dpo,ipo_sum,gpo_exponential,gpo_squared,hinge,kto,cal_dpo,sppo_hard,cpo "
      "--beta 0.01,1,30 --reference start,far --seeds 4 --steps 200 --output out");
  INFO(run.err);
  REQUIRE(run.code == 0);
  for (auto const& one : rows_of(place.content("out/sweep.csv"))) {
    INFO(one.at("loss") << " beta " << one.at("beta") << " " << one.at("reference"));
    auto const all = sweep::draw_bandit(64, std::stoul(one.at("seed")));
    double start = 0.0;
    for (std::size_t i = 0; i < all.start.size(); ++i)
      start += std::exp(all.start[i]) * all.reward[i];
    // A loss that saturates at such margins (kto) hardly moves; none goes the wrong way.
    CHECK(number(one, "reward") > start - 0.05);
  }
}

TEST_CASE("sweep: a moving average of the policy lets go where the start holds",
          "[examples][sweep]") {
  workplace const place;
  auto const run =
      place.sweep("--loss dpo --beta 2 --reference start,ema --seeds 5 --steps 1,400 --output out");
  INFO(run.err);
  REQUIRE(run.code == 0);
  std::map<std::string, double> kl;
  for (auto const& one : rows_of(place.content("out/sweep.csv"))) {
    bool const moves = one.at("reference") == "ema";
    // Before the first step the average is the start, so the first step is the same but for rounding.
    if (one.at("steps") == "1") {
      kl[one.at("seed")] += (moves ? -1.0 : 1.0) * number(one, "kl_start");
      continue;
    }
    kl[one.at("reference")] += number(one, "kl_start") / 5.0;
    if (moves) CHECK(number(one, "kl_reference") < number(one, "kl_start"));
  }
  for (char const* seed : {"1", "2", "3", "4", "5"})
    CHECK(kl.at(seed) == Approx(0.0).margin(1e-12));
  // Hundreds of steps of a hundredth: the reference has come along, and the policy went further.
  CHECK(kl.at("ema") > 2.0 * kl.at("start"));
}

TEST_CASE("sweep: flipped labels teach less, and half of them teach nothing",
          "[examples][sweep][slow]") {
  workplace const place;
  auto const run = place.sweep(
      "--loss dpo --beta 0.5 --reference start --seeds 40 --steps 100 --flip 0,0.1,0.3,0.5 "
      "--output out");
  REQUIRE(run.code == 0);
  std::map<std::string, double> mean;
  for (auto const& one : rows_of(place.content("out/sweep.csv"))) {
    mean[one.at("flip")] += number(one, "reward") / 40.0;
  }
  // The expected label signal shrinks by 1 - 2 flip: 1, 0.8, 0.4, 0. The standard error of a mean over 40 seeds
  // is below 0.1, and paired by seed well below that.
  CHECK(mean.at("0") > mean.at("0.1"));
  CHECK(mean.at("0.1") > mean.at("0.3") + 0.1);
  CHECK(mean.at("0.3") > mean.at("0.5") + 0.1);
  CHECK(std::fabs(mean.at("0.5")) < 0.35);
}

TEST_CASE("sweep: a biased annotator teaches their taste in place of the reward",
          "[examples][sweep][slow]") {
  workplace const place;
  auto const reward_at = [&](std::string const& bias) {
    auto const run =
        place.sweep("--loss dpo --beta 0.5 --reference start --seeds 40 --steps 100 --bias " +
                    bias + " --output bias" + bias);
    REQUIRE(run.code == 0);
    double mean = 0.0;
    for (auto const& one : rows_of(place.content("bias" + bias + "/sweep.csv"))) {
      mean += number(one, "reward") / 40.0;
    }
    return mean;
  };
  double const none = reward_at("0");
  double const some = reward_at("0.3");
  double const all = reward_at("1");
  CHECK(none > some + 0.1);
  CHECK(some > all + 0.1);
  CHECK(std::fabs(all) < 0.35);  // taste and reward are independent
}

TEST_CASE("sweep: sequences of a Markov policy stay under the optimum of all sequences",
          "[examples][sweep]") {
  workplace const place;
  auto const run = place.sweep(
      "--task bigram --loss dpo,simpo --beta 0.1,1 --reference start,near --seeds 3 --steps 1,60 "
      "--output out");
  INFO(run.err);
  REQUIRE(run.code == 0);
  auto const rows = rows_of(place.content("out/sweep.csv"));
  CHECK(rows.front().at("settings") == "sweep 0.1.0 bigram vocabulary=6 length=4 pairs=200");
  double gain = 0.0;
  for (auto const& one : rows) {
    CHECK(number(one, "reward") <= number(one, "best_reward") + 1e-9);
    CHECK(number(one, "kl_start") > 0.0);
    bool const first = one.at("steps") == "1";
    gain += first ? -number(one, "reward") : number(one, "reward");
  }
  CHECK(gain > 0.0);  // it learns
}

TEST_CASE("sweep: a Markov problem starts from its start policy", "[examples][sweep]") {
  sweep::sequences const task(50);
  auto const problem = task.make(1, {});
  auto const policy = problem->start("start");
  std::size_t const n = problem->pairs();
  std::vector<double> chosen(n), rejected(n);
  policy->log_prob(chosen, rejected);
  std::vector<double> reference_chosen(n), reference_rejected(n);
  policy->reference_log_prob(reference_chosen, reference_rejected);
  for (std::size_t i = 0; i < n; ++i) {
    // Sums of four log-probabilities around -2 each, in double.
    CHECK(chosen[i] == Approx(reference_chosen[i]).epsilon(1e-13));
    CHECK(rejected[i] == Approx(reference_rejected[i]).epsilon(1e-13));
  }
  CHECK(policy->judge().kl_start == Approx(0.0).margin(1e-12));
  // Large beta leaves the start as it is.
  CHECK(policy->judge().reward == Approx(problem->best(1e9)->reward).margin(1e-6));
}

TEST_CASE("sweep: the reference study shows its published shape", "[examples][sweep][slow]") {
  // A tenth of its seeds and its first number of steps; the whole takes a minute, and prints the comparison.
  workplace const place;
  auto const run = place.sweep("--seeds 20 --steps 200 --output out");
  REQUIRE(run.code == 0);
  std::map<std::string, std::map<double, double>> mean;
  for (auto const& one : rows_of(place.content("out/sweep.csv"))) {
    mean[one.at("reference")][number(one, "beta")] += number(one, "reward") / 20.0;
  }
  auto const best = [&](std::string const& reference) {
    auto const& curve = mean.at(reference);
    return std::max_element(curve.begin(), curve.end(),
                            [](auto const& a, auto const& b) { return a.second < b.second; })
        ->first;
  };
  for (auto const& [reference, curve] : mean) {
    INFO(reference);
    REQUIRE(curve.size() == 7);
    // An inverted U: the best beta is neither end.
    CHECK(best(reference) > 0.05);
    CHECK(best(reference) < 5.0);
  }
  // A stronger reference nearby is best at a beta no smaller, and its hold is worth most where beta is large.
  CHECK(best("near") >= best("start"));
  CHECK(mean.at("near").at(5.0) > mean.at("start").at(5.0) + 0.3);
  CHECK(std::fabs(mean.at("near").at(0.05) - mean.at("start").at(0.05)) < 0.1);
}

TEST_CASE("sweep: what a judge saw explains the labels", "[examples][sweep]") {
  sweep::bandit const task(16, 4000);
  auto const problem = task.make(1, {});
  auto const rewards = problem->scores(prefer::score_kind::reward);
  auto const seen = problem->scores(prefer::score_kind::ordered_reward);
  auto const wins = problem->scores(prefer::score_kind::win_probability);
  double expected_wrong = 0.0;
  double variance = 0.0;
  double wrong = 0.0;
  double noise_squared = 0.0;
  for (std::size_t i = 0; i < problem->pairs(); ++i) {
    double const gap = rewards.chosen[i] - rewards.rejected[i];
    REQUIRE(seen.chosen[i] > seen.rejected[i]);
    CHECK(seen.chosen[i] + seen.rejected[i] ==
          Approx(rewards.chosen[i] + rewards.rejected[i]).margin(1e-12));
    CHECK(wins.chosen[i] + wins.rejected[i] == Approx(1.0));
    CHECK(std::log(wins.chosen[i] / wins.rejected[i]) == Approx(2.0 * gap).margin(1e-9));
    wrong += gap < 0.0 ? 1.0 : 0.0;
    double const p = 1.0 / (1.0 + std::exp(2.0 * std::fabs(gap)));
    expected_wrong += p;
    variance += p * (1.0 - p);
    // What was seen less what is: half a logistic number, whose sign depends on which was drawn first. A wrong
    // label's gap counts from the other side.
    double const n = (seen.chosen[i] - seen.rejected[i]) - gap;
    noise_squared += n * n;
  }
  auto const n = static_cast<double>(problem->pairs());
  CHECK(std::fabs(wrong - expected_wrong) < 4.0 * std::sqrt(variance));
  // Half a logistic number has the variance pi^2 / 12 and the fourth moment 7 pi^4 / 240.
  double const second = std::pow(3.14159265358979, 2) / 12.0;
  double const fourth = 7.0 * std::pow(3.14159265358979, 4) / 240.0;
  CHECK(std::fabs(noise_squared / n - second) < 4.0 * std::sqrt((fourth - second * second) / n));
}

TEST_CASE("sweep: a flipped label turns what was seen with it, and no true reward",
          "[examples][sweep]") {
  sweep::bandit const task(16, 200);
  auto const right = task.make(1, {});
  auto const turned = task.make(1, {.flip = 0.5});
  auto const before = right->scores(prefer::score_kind::reward);
  auto const after = turned->scores(prefer::score_kind::reward);
  auto const seen_before = right->scores(prefer::score_kind::ordered_reward);
  auto const seen_after = turned->scores(prefer::score_kind::ordered_reward);
  std::size_t flips = 0;
  for (std::size_t i = 0; i < right->pairs(); ++i) {
    bool const flipped = before.chosen[i] != after.chosen[i];
    flips += flipped ? 1 : 0;
    CHECK((flipped ? after.rejected[i] : after.chosen[i]) == before.chosen[i]);
    CHECK(seen_after.chosen[i] == Approx(seen_before.chosen[i]));
    CHECK(seen_after.rejected[i] == Approx(seen_before.rejected[i]));
  }
  // Half of about 190 pairs: four standard deviations are 28.
  CHECK(flips > 60);
  CHECK(flips < 130);
}

TEST_CASE(
    "sweep: losses that learn from true rewards are not reached by flips, and the report says so",
    "[examples][sweep]") {
  workplace const place;
  auto const run = place.sweep(
      "--loss rebel,exo,sppo_soft,odpo --beta 1 --reference start --seeds 2 --steps 20 --flip "
      "0,0.5 "
      "--output out" +
      small);
  INFO(run.err);
  REQUIRE(run.code == 0);
  CHECK_THAT(place.content("out/sweep.html"), Contains("true rewards: rebel, exo, sppo_soft."));
  std::map<std::string, std::map<std::string, std::string>> reward;
  for (auto const& one : rows_of(place.content("out/sweep.csv"))) {
    reward[one.at("loss") + one.at("seed")][one.at("flip")] = one.at("reward");
  }
  for (std::string const seed : {"1", "2"}) {
    for (std::string const loss : {"rebel", "exo", "sppo_soft"}) {
      INFO(loss);
      // Sums in another order.
      auto const& of = reward.at(loss + seed);
      CHECK(std::stod(of.at("0")) == Approx(std::stod(of.at("0.5"))).epsilon(1e-9));
    }
    CHECK(reward.at("odpo" + seed).at("0") != reward.at("odpo" + seed).at("0.5"));
  }
}

TEST_CASE("sweep: losses that read tokens run on sequences", "[examples][sweep][slow]") {
  workplace const place;
  auto const run = place.sweep(
      "--task bigram --loss "
      "dpo,tdpo1,tdpo2:alpha=0,wpo,wpo:largest_weight=1e-9,epsilon_dpo,beta_dpo "
      "--beta 0.1,1,5 --reference start,far,ema --seeds 2 --steps 1,40 --output out");
  INFO(run.err);
  REQUIRE(run.code == 0);
  std::map<std::string, row> at;
  for (auto const& one : rows_of(place.content("out/sweep.csv"))) {
    at[one.at("loss") + "|" + one.at("beta") + "|" + one.at("reference") + "|" + one.at("seed") +
       "|" + one.at("steps")] = one;
    CHECK(number(one, "reward") <= number(one, "best_reward") + 1e-9);
  }
  for (std::string const beta : {"0.1", "1", "5"}) {
    for (std::string const reference : {"start", "far", "ema"}) {
      for (std::string const seed : {"1", "2"}) {
        std::string const where = "|" + beta + "|" + reference + "|" + seed + "|";
        INFO(where);
        auto const reward = [&](std::string const& loss, std::string const& steps) {
          return number(at.at(loss + where + steps), "reward");
        };
        // Without its divergence term tdpo2 is dpo.
        CHECK(reward("tdpo2 alpha=0", "40") == Approx(reward("dpo", "40")).epsilon(1e-9));
        // With all weights at the bound wpo is dpo in another unit, which the step makes up for.
        CHECK(reward("wpo largest_weight=1e-09", "40") ==
              Approx(reward("dpo", "40")).epsilon(1e-6));
        CHECK(reward("wpo", "40") != Approx(reward("dpo", "40")).epsilon(1e-6));
        if (reference == "far") continue;
        // At the reference the divergence and its gradient are 0, and no policy is nearer: the first step is dpo's.
        CHECK(reward("tdpo1", "1") == Approx(reward("dpo", "1")).epsilon(1e-9));
        CHECK(reward("epsilon_dpo", "1") == Approx(reward("dpo", "1")).epsilon(1e-9));
        CHECK(reward("tdpo1", "40") != Approx(reward("dpo", "40")).epsilon(1e-6));
        CHECK(reward("epsilon_dpo", "40") != Approx(reward("dpo", "40")).epsilon(1e-9));
      }
    }
  }
}

TEST_CASE("sweep: descent of a Markov policy follows d loss / d divergence", "[examples][sweep]") {
  sweep::sequences const task(20);
  auto const problem = task.make(3, {});
  std::size_t const n = problem->pairs();
  std::vector<double> const zero(n, 0.0);
  std::vector<double> const one(n, 1.0);
  auto const total = [&](sweep::learner& policy) {
    sweep::token_numbers out;
    policy.read_tokens(prefer::column_name::divergence, 0.0, out);
    double sum = 0.0;
    for (double const d : out.divergence.chosen) sum += d;
    return sum;
  };
  auto const policy = problem->start("far");
  double const before = total(*policy);
  policy->descend({zero, zero, one, zero}, 1e-4);
  double const after = total(*policy);
  CHECK(after < before);
  // Half the step falls half as far, but for a second order of a thousandth.
  auto const half = problem->start("far");
  half->descend({zero, zero, one, zero}, 0.5e-4);
  CHECK(before - total(*half) == Approx(0.5 * (before - after)).epsilon(1e-2));
}

TEST_CASE("sweep: beta_dpo draws the same pairs in each run, and others than dpo takes",
          "[examples][sweep][slow]") {
  workplace const place;
  std::string const what = "--loss beta_dpo,dpo --beta 0.5 --reference start --seeds 2 --steps 30 ";
  REQUIRE(place.sweep(what + small + "--threads 1 --output a").code == 0);
  REQUIRE(place.sweep(what + small + "--threads 3 --output b").code == 0);
  CHECK(place.content("a/sweep.csv") == place.content("b/sweep.csv"));
  auto const rows = rows_of(place.content("a/sweep.csv"));
  REQUIRE(rows.size() == 4);
  CHECK(rows[0].at("reward") != rows[2].at("reward"));
}

TEST_CASE("sweep: a loss that remembers goes on from step to step", "[examples][sweep]") {
  // bco's threshold is the mean of all rewards so far: 0 in the first batch, half of the second's in the second.
  auto const choice = sweep::describe_loss("bco");
  sweep::objective kept(choice, 1.0, 1);
  double const reference[] = {-1.0};
  double up = 0.0;
  double down = 0.0;
  auto const coefficient = [&](double log_prob) {
    double const policy[] = {log_prob};
    kept.coefficients({.policy = {policy, policy}, .reference = {reference, reference}, .drawn = 1},
                      {&up, 1}, {&down, 1});
    return up;
  };
  // Half of -sigmoid(-(log_ratio - threshold)) for the desirable example.
  CHECK(coefficient(-1.0) == Approx(-0.25));
  CHECK(coefficient(1.0) == Approx(-0.5 / (1.0 + std::exp(2.0 - 1.0))));
}

TEST_CASE("sweep: the report warns where a best beta is an end of the grid",
          "[examples][sweep][slow]") {
  workplace const place;
  auto const warned = [&](std::string const& betas) {
    auto const run = place.sweep("--loss dpo --beta " + betas +
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

TEST_CASE("sweep: a second sweep in the same folder is refused while the first is at work",
          "[examples][sweep]") {
  workplace const place;
  std::string const few = "--loss dpo --beta 1 --reference start --seeds 1 --steps 2 --output out";
  place.file("first.sh",
             "'" PREFER_EXAMPLE_SWEEP
             "' --loss dpo --reference start --seeds 4000 --steps 2000 --threads 1 --output out "
             ">first.out 2>first.err &\n"
             "first=$!\n"
             "while [ ! -s out/sweep.csv.journal ]; do sleep 0.02; done\n"
             "'" PREFER_EXAMPLE_SWEEP "' " +
                 few + " >second.out 2>second.err\necho $? >second.code\nkill -KILL $first\n" +
                 "wait $first\ntrue\n");
  CHECK(place.shell("timeout 60 sh first.sh 2>/dev/null") != -1);
  CHECK(place.content("second.code") == "1\n");
  CHECK(place.content("second.out").empty());
  CHECK(place.content("second.err") ==
        "sweep: out: another sweep is at work in this folder; wait until it ends, or give another "
        "--output\n");
  // A program that was killed leaves no lock behind.
  CHECK(place.sweep(few).code == 0);
}

TEST_CASE("sweep: ratings are learned, with every reference, and no frontier is claimed",
          "[examples][sweep]") {
  workplace const place;
  place.file("tiny.inter", tiny_ratings());
  auto const run = place.sweep(
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
             StartsWith("sweep 0.1.0 ratings people=12 items=20 file="));
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
  workplace const place;
  place.file("tiny.inter", tiny_ratings());
  std::string const what = on_ratings +
                           "--loss dpo,kto --beta 0.1,1 --reference start,near,ema --flip 0,0.2 "
                           "--bias 0.1 --seeds 3 --steps 2,10 ";
  REQUIRE(place.sweep(what + "--threads 1 --output one").code == 0);
  REQUIRE(place.sweep(what + "--threads 4 --output four").code == 0);
  std::string const csv = place.content("one/sweep.csv");
  CHECK(place.content("four/sweep.csv") == csv);
  CHECK(place.content("four/sweep.html") == place.content("one/sweep.html"));
  for (std::size_t const kept : {csv.size() / 3, csv.size() - 1}) {
    std::string const folder = "cut" + std::to_string(kept);
    place.file(folder + "/sweep.csv.journal", csv.substr(0, kept));
    REQUIRE(place.sweep(what + "--threads 2 --output " + folder).code == 0);
    CHECK(place.content(folder + "/sweep.csv") == csv);
    CHECK(place.content(folder + "/sweep.html") == place.content("one/sweep.html"));
  }
  // Other ratings are another task.
  std::string other = tiny_ratings();
  other.replace(other.find("\t5\t"), 3, "\t4\t");
  place.file("tiny.inter", other);
  auto const refused = place.sweep(what + "--output one");
  CHECK(refused.code == 1);
  CHECK_THAT(refused.err, Contains("made with other settings"));
}

TEST_CASE("sweep: pairs of ratings are a person's likes over their dislikes, and flips turn them",
          "[examples][sweep]") {
  workplace const place;
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
