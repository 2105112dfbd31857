// SPDX-License-Identifier: MIT
//
// The program `losses` as its users run it: arguments, files and pipes in; streams, files and exit code out.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>

#include <catch2/catch.hpp>

#include "workplace.hpp"

namespace {

using Catch::Matchers::Contains;
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;
using prefer::test::outcome;

struct workplace : prefer::test::workplace {
  workplace() : prefer::test::workplace("losses", PREFER_EXAMPLE_LOSSES) {}
};

// log_ratio_margin 2: chosen +1, rejected -1.
constexpr char const* pair =
    R"({"policy_chosen": -12, "policy_rejected": -15, "ref_chosen": -13, "ref_rejected": -14})"
    "\n";

/// The number behind `"name": ` in one line of output.
double number(std::string const& line, std::string const& name) {
  std::size_t const at = line.find("\"" + name + "\": ");
  REQUIRE(at != std::string::npos);
  return std::strtod(line.c_str() + at + name.size() + 4, nullptr);
}

void check_refused(outcome const& run, std::string const& sentence) {
  prefer::test::check_refusal(run, "losses", sentence);
}

}  // namespace

TEST_CASE("losses: --list names every loss with its parameters, columns and paper",
          "[examples][losses]") {
  workplace const place;
  auto const run = place.run("--list");
  CHECK(run.code == 0);
  CHECK(run.err.empty());
  for (char const* piece : {"dpo ", "ipo_sum ", "hinge ", "simpo ", "kto ", "nll ",
                            "plackett_luce ", "softmax_dpo ", "beta=0.1 label_smoothing=0",
                            "policy, length", "KL examples", "arXiv:2305.18290", "sigmoid"}) {
    CHECK_THAT(run.out, Contains(piece));
  }
}

TEST_CASE("losses: --help teaches by example, and no arguments lead there", "[examples][losses]") {
  workplace const place;
  auto const help = place.run("--help");
  CHECK(help.code == 0);
  CHECK_THAT(help.out, Contains("Examples:") && Contains("policy_chosen"));
  auto const nothing = place.run("");
  CHECK(nothing.code == 2);
  CHECK(nothing.err == help.out);
}

TEST_CASE("losses: a pair from a pipe has DPO's value and coefficients", "[examples][losses]") {
  workplace const place;
  auto const run = place.run("--loss dpo --set beta=0.5", pair);
  CHECK(run.code == 0);
  REQUIRE(run.lines() == 1);
  double const z = 0.5 * 2;
  CHECK(number(run.out, "loss") == Approx(std::log1p(std::exp(-z))).epsilon(1e-14));
  double const slope = 0.5 / (1 + std::exp(z));
  CHECK(number(run.out, "coefficient_chosen") == Approx(-slope).epsilon(1e-14));
  CHECK(number(run.out, "coefficient_rejected") == Approx(slope).epsilon(1e-14));
  CHECK(number(run.out, "reward_chosen") == 0.5);
  CHECK(number(run.out, "reward_rejected") == -0.5);
  CHECK_THAT(run.err, Contains("1 row,") && Contains("accuracy 1.0000") &&
                          Contains("mean reward margin 1.000000"));
}

TEST_CASE("losses: an alias and its settings behind a colon say the same", "[examples][losses]") {
  workplace const place;
  place.file("pairs.jsonl", pair);
  auto const ours = place.run("--loss dpo --set beta=0.5 pairs.jsonl");
  auto const trl = place.run("--loss sigmoid:beta=0.5 -", pair);
  CHECK(ours.out == trl.out);
  CHECK(ours.err == trl.err);
  CHECK(place.run("--loss simpo:simpo_gamma=1 pairs.jsonl").code != 0);  // no lengths
}

TEST_CASE("losses: with --reduction mean coefficients are divided by the rows",
          "[examples][losses]") {
  workplace const place;
  std::string const two = std::string(pair) + pair;
  auto const each = place.run("--loss hinge", two);
  auto const mean = place.run("--loss hinge --reduction mean", two);
  CHECK(number(each.out, "coefficient_chosen") == -0.1);
  CHECK(number(mean.out, "coefficient_chosen") == -0.05);
  CHECK(number(each.out, "loss") == number(mean.out, "loss"));
}

TEST_CASE("losses: accuracy is strict, a tie is a miss", "[examples][losses]") {
  workplace const place;
  auto const run = place.run(
      "--loss dpo",
      std::string(pair) +
          R"({"policy_chosen": -1, "policy_rejected": -2, "ref_chosen": -1, "ref_rejected": -2})");
  CHECK(run.lines() == 2);
  CHECK_THAT(run.err, Contains("accuracy 0.5000"));
}

TEST_CASE("losses: a loss that reads no reference says the same with one and without",
          "[examples][losses]") {
  workplace const place;
  std::string const numbers =
      R"("policy_chosen": -20, "policy_rejected": -30, "chosen_len": 10, "rejected_len": 10})";
  for (std::string const loss : {"simpo", "cpo", "orpo", "slic_hf", "nll_per_token"}) {
    CAPTURE(loss);
    auto const without = place.run("--loss " + loss, "{" + numbers);
    auto const with =
        place.run("--loss " + loss, R"({"ref_chosen": -10, "ref_rejected": -40, )" + numbers);
    CHECK(without.code == 0);
    CHECK(with.out == without.out);
    CHECK(with.err == without.err);
    CHECK_THAT(with.err, Contains("accuracy 1.0000"));
  }
}

TEST_CASE("losses: a loss that ranks lists per token compares per token", "[examples][losses]") {
  workplace const place;
  // -1 and -2 nats per token, although the sums are -30 and -20.
  auto const run =
      place.run("--loss rrhf", R"({"policy": [-30, -20], "len": [30, 10], "score": [1, 0]})");
  CHECK_THAT(run.out, Contains("\"reward\": [-1, -2]"));
  CHECK_THAT(run.err, Contains("accuracy 1.0000") && Contains("mean reward margin 1.000000"));
}

TEST_CASE("losses: a weight multiplies loss and coefficients of its row", "[examples][losses]") {
  workplace const place;
  auto const run = place.run(
      "--loss ipo_sum:beta=0.5",  // (2 - 1)^2 = 1, slope 2
      R"({"policy_chosen": -12, "policy_rejected": -15, "ref_chosen": -13, "ref_rejected": -14, "weight": 3})");
  CHECK(number(run.out, "loss") == 3);
  CHECK(number(run.out, "coefficient_rejected") == -6);
}

TEST_CASE("losses: KTO takes its baseline from all rows", "[examples][losses]") {
  workplace const place;
  // Mismatched log-ratios 3 and 1: the baseline is 2, which is both rows' own log-ratio.
  auto const run =
      place.run("--loss kto",
                R"({"policy": -3, "ref": -5, "label": true, "kl_policy": -1, "kl_ref": -4}
{"policy": -6, "ref": -8, "label": false, "kl_policy": -1, "kl_ref": -2})");
  CHECK(run.code == 0);
  REQUIRE(run.lines() == 2);
  std::string const second = run.out.substr(run.out.find('\n') + 1);
  CHECK(number(run.out, "loss") == 0.5);
  CHECK(number(second, "loss") == 0.5);
  CHECK(number(run.out, "coefficient") == Approx(-0.025).epsilon(1e-14));  // beta / 4
  CHECK(number(second, "coefficient") == Approx(0.025).epsilon(1e-14));
  CHECK(number(run.out, "reward") == 0.2);
}

TEST_CASE("losses: a list of two is a pair", "[examples][losses]") {
  workplace const place;
  auto const list =
      place.run("--loss plackett_luce", R"({"policy": [-12, -15], "ref": [-13, -14]})");
  auto const two = place.run("--loss dpo", pair);
  CHECK(number(list.out, "loss") == Approx(number(two.out, "loss")).epsilon(1e-15));
  CHECK_THAT(list.out, Contains("\"reward\": [0.1, -0.1]"));
}

TEST_CASE("losses: what a JSON number cannot say is a string", "[examples][losses]") {
  workplace const place;
  auto const run = place.run(
      "--loss ipo_sum",
      R"({"policy_chosen": 0, "policy_rejected": -1e300, "ref_chosen": 0, "ref_rejected": 0})");
  CHECK(run.code == 0);
  CHECK_THAT(run.out, Contains("\"loss\": \"inf\""));
}

TEST_CASE("losses: bad rows are refused with file, line and field", "[examples][losses]") {
  workplace const place;
  std::string const good = pair;
  auto const run = [&](std::string const& content, std::string const& loss = "dpo") {
    place.file("rows.jsonl", content);
    return place.run("--loss " + loss + " --reduction mean rows.jsonl");
  };
  auto const pair_with = [](std::string const& chosen) {
    return R"({"policy_chosen": )" + chosen +
           R"(, "policy_rejected": -15, "ref_chosen": -13, "ref_rejected": -14})" + "\n";
  };
  check_refused(run(""), "rows.jsonl: there is nothing in it");
  check_refused(run("\n\n"), "rows.jsonl: there are only blank lines");
  check_refused(run(good + R"({"policy_chosen": -1, "policy_rejected": -2, "ref_chosen": -1})"),
                "rows.jsonl:2: field \"ref_rejected\" is missing");
  check_refused(run(good + good + pair_with("\"-1\"")), "rows.jsonl:3: field \"policy_chosen\"");
  check_refused(run(pair_with("null")), "rows.jsonl:1: field \"policy_chosen\"");
  check_refused(run(pair_with("1e999")), "rows.jsonl:1: ");
  check_refused(run(pair_with("-Infinity")), "expected a finite number");
  check_refused(run(pair_with("NaN")), "expected a finite number");
  check_refused(run(good + R"({"policy_chosen": -1, "policy_rej)"), "rows.jsonl:2: truncated");
  check_refused(run(good + "{\"policy_chosen\": -1, \"note\": \"\xFF\"}"),
                "rows.jsonl:2: byte 32 of the line is not valid UTF-8");
  check_refused(run("[1, 2]"), "rows.jsonl:1: found a list; expected one JSON object per line");
  std::string const spelt = R"({"policy_chosen": -1, "policy_rejected": -2, "ref_chosen": -1, )";
  check_refused(run(spelt + R"("ref_rejected": -2, "wieght": 2})"), "did you mean \"weight\"?");
  check_refused(run(spelt + R"("ref_rejected": -2, "weight": -1})"),
                "field \"weight\": found -1; expected a finite number, zero or greater");
  check_refused(run(spelt + R"("ref_rejected": -2, "chosen_len": 0, "rejected_len": 3})", "ipo"),
                "rows.jsonl:1: field \"chosen_len\": found 0");
  check_refused(run(good, "simpo"), "rows.jsonl:1: field \"chosen_len\" is missing");
  check_refused(
      run(R"({"policy": -1, "ref": -2, "label": "yes", "kl_policy": -1, "kl_ref": -1})", "kto"),
      "field \"label\"");
  check_refused(run(R"({"policy": -1, "ref": -2, "label": true})", "kto"),
                "field \"kl_policy\" is missing");
  check_refused(run(R"({"policy": [-1, -2], "ref": [-1]})", "softmax_dpo"),
                "field \"ref\": has 1 numbers; expected 2");
  check_refused(run(R"({"policy": [], "ref": []})", "softmax_dpo"), "field \"policy\"");
  check_refused(run(R"({"policy": [-1, "x"], "ref": [-1, -1]})", "softmax_dpo"), "element 1");
  // What a number means: a log-probability, a probability, a reward in an order.
  check_refused(
      run(pair_with("5")),
      "field \"policy_chosen\": found 5; expected a log-probability, finite and at most 0");
  std::string const scored = R"({"policy_chosen": -1, "policy_rejected": -2, "ref_chosen": -1, )"
                             R"("ref_rejected": -2, "score_chosen": 0.25, "score_rejected": )";
  check_refused(run(scored + "5}", "sppo_soft"),
                "field \"score_rejected\": found 5; expected a probability, from 0 to 1");
  check_refused(
      run(scored + "0.5}", "odpo"),
      "field \"score_rejected\": found 0.5; expected a reward below that of chosen, 0.25");
  check_refused(run(R"({"policy": [-1, -2], "len": [1, 1], "score": [0.5, 1]})", "rrhf"),
                "field \"score\": found 1; expected rewards that do not rise, best first");
  check_refused(run(R"({"policy": [-1, 2], "ref": [-1, -1]})", "softmax_dpo"),
                "field \"policy\": found 2; expected a log-probability, finite and at most 0");
  CHECK(run(R"({"policy_chosen": 5, "policy_rejected": -2})", "bradley_terry").code == 0);
  check_refused(place.run("--loss dpo absent.jsonl"), "absent.jsonl: cannot open file");
  check_refused(place.run("--loss dpo .."), "cannot read file");
  check_refused(place.run("--loss dpo"), "standard input: there is nothing in it");
}

TEST_CASE("losses: rows before a bad one are written whole", "[examples][losses]") {
  workplace const place;
  auto const run = place.run("--loss dpo", std::string(pair) + pair + "{\n");
  CHECK(run.code == 1);
  CHECK(run.lines() == 2);
  CHECK_THAT(run.out, EndsWith("}\n"));
  CHECK_THAT(run.err, StartsWith("losses: standard input:3: "));
}

TEST_CASE("losses: bad arguments are refused with the nearest good one", "[examples][losses]") {
  workplace const place;
  place.file("pairs.jsonl", pair);
  auto const refused = [&](std::string const& arguments, std::string const& sentence) {
    INFO(arguments);
    check_refused(place.run(arguments + " pairs.jsonl"), sentence);
  };
  refused("--loss dpoo", "no loss is named \"dpoo\"; did you mean \"dpo\"?");
  refused("--loss cdpo", "it is dpo with label_smoothing > 0");
  refused("--loss dpo --set bta=1",
          "--set bta=1: dpo has no hyper-parameter \"bta\"; did you mean \"beta\"?");
  refused("--loss dpo:gamma=1", "dpo has no hyper-parameter \"gamma\"");
  refused("--loss dpo --set beta=0",
          "--set beta=0: dpo: beta is 0, expected a finite number greater than zero");
  refused("--loss dpo:beta=-1", "dpo: beta is -1, expected a finite number greater than zero");
  refused("--loss dpo --set beta=nan", "\"nan\" is not a finite number");
  refused("--loss dpo --set beta=0.1x", "\"0.1x\" is not a finite number");
  refused("--loss dpo --set beta", "expected NAME=NUMBER");
  refused("--loss dpo --set label_smoothing=0.5",
          "label_smoothing is 0.5, expected at least 0 and less than 0.5");
  refused("--loss dpo --reduction sum", "--reduction: found \"sum\"; expected none or mean");
  refused("--loss dpo --loss ipo", "several --loss need --plot");
  refused("--list --loss dpo", "give one of");
  check_refused(place.run("--lss dpo"), "--lss");
}

TEST_CASE("losses: --output appears whole or not at all", "[examples][losses]") {
  workplace const place;
  place.file("good.jsonl", pair);
  place.file("bad.jsonl", std::string(pair) + "{");
  CHECK(place.run("--loss dpo --output out.jsonl bad.jsonl").code == 1);
  CHECK_FALSE(place.has("out.jsonl"));
  auto const run = place.run("--loss dpo --output out.jsonl good.jsonl");
  CHECK(run.code == 0);
  CHECK(run.out.empty());
  std::string const first = place.content("out.jsonl");
  CHECK_THAT(first, StartsWith("{\"loss\": "));
  CHECK(place.run("--loss dpo --output out.jsonl bad.jsonl").code == 1);
  CHECK(place.content("out.jsonl") == first);
  check_refused(place.run("--loss dpo --output nowhere/out.jsonl good.jsonl"),
                "nowhere/out.jsonl: cannot create file");
}

TEST_CASE("losses: --output goes through a link and into a pipe, and overwrites nobody's file",
          "[examples][losses]") {
  workplace const place;
  place.file("in.jsonl", pair);
  place.file("target", "old");
  place.file("results.partial", "mine");
  std::filesystem::create_symlink("target", place / "link");
  std::string const line = place.run("--loss dpo in.jsonl").out;
  CHECK(place.run("--loss dpo --output link in.jsonl").code == 0);
  CHECK(std::filesystem::is_symlink(place / "link"));
  CHECK(place.content("target") == line);
  CHECK(place.run("--loss dpo --output results in.jsonl").code == 0);
  CHECK(place.content("results.partial") == "mine");
  CHECK(place.shell("mkfifo pipe && (cat pipe > read &)") == 0);
  CHECK(place.run("--loss dpo --output pipe in.jsonl && sleep 0.2").code == 0);
  CHECK(std::filesystem::is_fifo(place / "pipe"));
  CHECK(place.content("read") == line);
  CHECK(place.run("--loss dpo --output /dev/stdout in.jsonl").out == line);
}

TEST_CASE("losses: a full disk is noticed", "[examples][losses]") {
  if (!std::filesystem::exists("/dev/full")) return;
  workplace const place;
  auto const run = place.run("--loss dpo >/dev/full", pair);
  CHECK(run.code == 1);
  CHECK_THAT(run.err, Contains("losses: standard output: cannot write"));
}

TEST_CASE("losses: --plot draws every loss it was given", "[examples][losses]") {
  workplace const place;
  auto const run = place.run("--loss dpo --loss hinge:beta=1 --loss kto --plot margins.svg");
  CHECK(run.code == 0);
  CHECK_THAT(run.err, Contains("wrote margins.svg"));
  std::string const picture = place.content("margins.svg");
  for (char const* name : {"dpo beta=0.1", "hinge beta=1", ", undesirable", "</svg>"}) {
    CHECK_THAT(picture, Contains(name));
  }
  check_refused(place.run("--loss dpo --plot nowhere/margins.svg"), "nowhere/margins.svg");
  check_refused(place.run("--loss dpo --plot a.svg --margins 2 1"), "LOW < HIGH");
  CHECK_FALSE(place.has("a.svg"));
}

TEST_CASE("losses: --check passes all golden files", "[examples][losses]") {
  workplace const place;
  auto const run = place.run("--check '" PREFER_GOLDEN_DIR "'/*.json");
  CHECK(run.code == 0);
  CHECK_THAT(run.out, Contains("passed") && Contains("f_dpo_js<hinge>"));
  CHECK_THAT(run.err, !Contains("failed") && !Contains("not covered"));
}

TEST_CASE("losses: --check tells what it does not cover", "[examples][losses]") {
  workplace const place;
  std::string text = place.content(PREFER_GOLDEN_DIR "/dpo.json");
  std::string const known = "\"loss_type\": \"sigmoid\"";
  text.replace(text.find(known), known.size(), "\"loss_type\": \"sigmoid_of_tomorrow\"");
  place.file("newer.json", text);
  auto const strict = place.run("--check newer.json");
  CHECK(strict.code == 1);
  CHECK_THAT(strict.err, Contains("1 case not covered") && !Contains("failed"));
  auto const allowed = place.run("--check newer.json --allow-uncovered");
  CHECK(allowed.code == 0);
  CHECK_THAT(allowed.out, Contains("sigmoid_of_tomorrow") && Contains("(no such loss here)"));
}

TEST_CASE("losses: --check finds a wrong value and says where", "[examples][losses]") {
  workplace const place;
  std::string text = place.content(PREFER_GOLDEN_DIR "/dpo.json");
  std::string const right = "\"loss\": 0.690980990246105";
  std::size_t const at = text.find(right);
  REQUIRE(at != std::string::npos);
  text.replace(at, right.size(), "\"loss\": 0.690980990346105");
  place.file("wrong.json", text);
  auto const run = place.run("--check wrong.json --allow-uncovered");
  CHECK(run.code == 1);
  CHECK_THAT(
      run.err,
      Contains("failed: dpo/0000 (dpo) loss: expected 0.690980990346105, got 0.6909809902461"));
  CHECK_THAT(run.err, Contains("1 case failed"));
}

TEST_CASE("losses: --check refuses what is no golden file", "[examples][losses]") {
  workplace const place;
  std::string const text = place.content(PREFER_GOLDEN_DIR "/dpo.json");
  place.file("cut.json", std::string_view(text).substr(0, text.size() / 2));
  auto const refused = [&](std::string const& file, std::string const& sentence) {
    check_refused(place.run("--check " + file + " --allow-uncovered"), sentence);
  };
  refused("cut.json", ": truncated: the file ends inside its JSON");
  refused("absent.json", "absent.json: cannot open file");
  refused("..", "..: cannot read file");
  place.file("empty.json", "");
  refused("empty.json", "empty.json: there is nothing in it");
  place.file("other.json", "{\"a\": 1}");
  refused("other.json", "other.json: field \"family\" is missing");
  place.file("no_inputs.json",
             R"({"family": "dpo", "inputs": {}, "cases": [{"id": "dpo/0000", "loss_type": "sigmoid",
                "inputs": "rand", "hyper": {}, "source": "trl", "finite": true}]})");
  refused("no_inputs.json", "no_inputs.json, case dpo/0000");
  place.file("bad.json", "{\"family\": \"dpo\",\n x}");
  refused("bad.json", "bad.json:2: not valid JSON");
}
