// SPDX-License-Identifier: MIT
//
// What people type by mistake, and worse: every program, every flag that takes a number, every kind of text that is none.

#include <catch2/catch.hpp>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "hostile.hpp"
#include "workplace.hpp"

namespace {

using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;
using namespace prefer::test;

std::vector<hostile_case> const programs = {
    {"losses",
     PREFER_EXAMPLE_LOSSES,
     "--loss dpo --plot a.svg",
     {"--margins 0", "--set beta"},
     {"--reduction", "--bad-rows"}},
    {"audit",
     PREFER_EXAMPLE_AUDIT,
     "--data rows.jsonl --bad-rows skip",
     {"--max-bad"},
     {"--bad-rows", "--ties", "--scored", "--parts", "--format"},
     "--card"},
    {"recommend",
     PREFER_EXAMPLE_RECOMMEND,
     "--ratings ratings.inter --output out --factors 2 --start-epochs 1 --epochs 1 --pairs 1 "
     "--beta 1 --seeds 1",
     {"--beta", "--seeds", "--factors", "--batch-size", "--start-epochs", "--start-rate",
      "--start-weight-decay", "--epochs", "--pairs", "--rate", "--liked-from", "--disliked-to",
      "--samples", "--memory", "--max-bad", "--threads"},
     {"--bad-rows", "--ties", "--scored", "--parts", "--format", "--header", "--feedback",
      "--encoding", "--repeats", "--loss", "--reference", "--normaliser"}},
    {"recommend",
     PREFER_EXAMPLE_RECOMMEND,
     "--ratings ratings.inter --output out --factors 2 --start-epochs 1 --epochs 1 --pairs 1 "
     "--beta 1 --seeds 1 --method dpo",
     {"--best-of", "--completions", "--rounds", "--centering", "--judgings"},
     {"--method"}},
    {"sweep",
     PREFER_EXAMPLE_SWEEP,
     "--output out --beta 1 --reference start --seeds 1 --steps 1 --actions 4 --pairs 9",
     {"--beta", "--seeds", "--steps", "--flip", "--bias", "--pairs", "--actions", "--factors",
      "--start-epochs", "--rate", "--threads"},
     {"--study", "--task"}},
    {"sweep",
     PREFER_EXAMPLE_SWEEP,
     "--output out --method best_of_n,sft_on_chosen,online_dpo --budget samples --samples 32 "
     "--batch 16 --n 2 --steps 1 --beta 1 --seeds 1 --first-seed 1 --actions 4",
     {"--samples", "--batch", "--n", "--steps", "--beta", "--seeds", "--first-seed", "--flip",
      "--bias"}},
    {"diffusion",
     PREFER_EXAMPLE_DIFFUSION,
     "--output out --modes 2 --preferred 0 --points 16 --hidden 2 --noise-levels 2 --batch-size 4 "
     "--start-steps 1 --steps 1 --samples 4 --beta 1",
     {"--modes", "--preferred", "--beta", "--points", "--hidden", "--noise-levels", "--batch-size",
      "--start-steps", "--start-rate", "--steps", "--rate", "--samples", "--seed", "--threads"},
     {}},
};

hostile_case const& called(std::string const& name) {
  return *std::find_if(programs.begin(), programs.end(),
                       [&](hostile_case const& each) { return each.name == name; });
}

constexpr char const* pair_of_texts =
    R"({"prompt": "Name a bird.", "chosen": "Wren.", "rejected": "Oak."})"
    "\n";

}  // namespace

TEST_CASE("programs: a number that is none is refused in a sentence, by every flag",
          "[examples][hostile]") {
  for (auto const& each : programs) {
    workplace const place(each.name, each.executable);
    place.file("ratings.inter", tiny_ratings());
    place.file("rows.jsonl", pair_of_texts);
    check_numbers(place, each);
  }
}

TEST_CASE("programs: a word that a flag does not know is refused, with those that it knows",
          "[examples][hostile]") {
  for (auto const& each : programs) {
    workplace const place(each.name, each.executable);
    place.file("ratings.inter", tiny_ratings());
    place.file("rows.jsonl", pair_of_texts);
    for (auto const& flag : each.words) {
      INFO(each.name << ' ' << flag);
      bool const of_preferences =
          flag == "--ties" || flag == "--scored" || flag == "--parts" || flag == "--format";
      std::string const usual = each.name == "recommend" && of_preferences
                                    ? "--preferences rows.jsonl"
                                    : without_flag(each.usual, flag);
      for (std::string const word : {"''", "zzz", "0", "a,b"}) {
        auto const run = place.run(usual + " " + flag + " " + word);
        CHECK(run.code == 2);
        check_sentence(run, each.name);
        CHECK_THAT(run.err, Contains("expected"));
      }
      auto const twice = place.run(usual + " " + flag + " zzz " + flag + " zzz");
      CHECK(twice.code == 2);
      check_sentence(twice, each.name);
    }
  }
}

TEST_CASE("programs: flags that contradict each other, or say nothing together, are refused",
          "[examples][hostile]") {
  struct contradiction {
    std::string program;
    std::string arguments;
    std::string sentence;
  };
  for (contradiction const& each : {
           contradiction{"audit", "--data rows.jsonl --max-bad 0.5", "expected --bad-rows skip"},
           {"audit", "--data rows.jsonl --bad-rows stop --max-bad 0.5", "expected --bad-rows skip"},
           {"audit", "--data rows.jsonl --labels --ties half", "--labels does not go with --ties"},
           {"audit", "--data rows.jsonl --labels --scored list", "--labels does not go with"},
           {"audit", "--data rows.jsonl --columns prompt", "--columns prompt: expected NAME=FIELD"},
           {"audit", "--data rows.jsonl --columns prompt=a,prompt=b",
            "prompt=a was given, too; expected each name once"},
           {"audit", "--data rows.jsonl --columns prompt=a,chosen=a",
            "prompt=a was given, too; expected each field once"},
           {"losses", "--loss dpo --max-bad 0.5 rows.jsonl", "expected --bad-rows skip"},
           {"losses", "--loss dpo --plot a.svg --output b", "does not go with"},
           {"losses", "--loss dpo --plot a.svg --columns a=b", "does not go with"},
           {"losses", "--loss dpo --plot a.svg rows.jsonl", "does not go with"},
           {"losses", "--loss dpo --margins 0 1", "--margins requires --plot"},
           {"losses", "--loss dpo --allow-uncovered", "--allow-uncovered requires --check"},
           {"recommend", "--ratings ratings.inter --ties half", "--ties requires --preferences"},
           {"recommend", "--ratings ratings.inter --parts skip", "--parts requires --preferences"},
           {"recommend", "--ratings ratings.inter --max-bad 0.5", "expected --bad-rows skip"},
           {"recommend", "--preferences rows.jsonl --scale 1:5", "--scale requires --ratings"},
           {"recommend", "--preferences rows.jsonl --repeats last", "--repeats requires --ratings"},
           {"recommend", "--preferences rows.jsonl --ratings ratings.inter", "does not go with"},
           {"recommend", "--ratings ratings.inter --group-columns user,group",
            "--group-columns requires --groups"},
           {"recommend", "--ratings ratings.inter --liked-from 2 --disliked-to 4",
            "--liked-from must be above --disliked-to"},
           {"recommend", "--ratings ratings.inter --best-of 4", "--best-of requires --method"},
           {"recommend", "--ratings ratings.inter --rounds 4", "--rounds requires --method"},
           {"recommend", "--ratings ratings.inter --method dpo --reference none",
            "--method does not go with --reference"},
           {"recommend", "--ratings ratings.inter --method ppo --loss dpo",
            "--loss: found losses without --method dpo"},
       }) {
    INFO(each.program << ' ' << each.arguments);
    auto const& program = called(each.program);
    workplace const place(program.name, program.executable);
    place.file("ratings.inter", tiny_ratings());
    place.file("rows.jsonl", pair_of_texts);
    auto const run = place.run(each.arguments);
    CHECK(run.code == 2);
    check_sentence(run, program.name);
    CHECK_THAT(run.err, Contains(each.sentence));
  }
}

TEST_CASE("programs: without an argument the help is on standard error", "[examples][hostile]") {
  for (auto const& each : programs) check_help(each);
}

TEST_CASE("programs: an unknown flag has a near one, a flag given twice is refused",
          "[examples][hostile]") {
  for (auto const& each : programs) check_flags(each);
}

TEST_CASE("programs: bounds are written as people write numbers", "[examples][hostile]") {
  workplace const place("sweep", PREFER_EXAMPLE_SWEEP);
  place.check_refused("--seeds 99999999",
                      "--seeds: found \"99999999\"; expected a whole number "
                      "from 1 to 1000000",
                      2);
  place.check_refused("--bias 1.5", "--bias: found \"1.5\"; expected a number from 0 to 1", 2);
  place.check_refused("--seeds 99999999999999999999", "from 1 to 1000000", 2);
  place.check_refused("--task bandti",
                      "expected bandit, markov or ratings; did you mean \"bandit\"?", 2);
}

TEST_CASE("programs: a value that a list has twice is taken once, and said",
          "[examples][hostile]") {
  workplace const sweep("sweep", PREFER_EXAMPLE_SWEEP);
  auto const swept = sweep.run(without_flag(called("sweep").usual, "--beta") + " --beta 0.5,0.5");
  CHECK(swept.code == 0);
  CHECK(swept.err == "sweep: warning: --beta has 0.5 more than once; it is taken once\n");
  workplace const diffusion("diffusion", PREFER_EXAMPLE_DIFFUSION);
  auto const diffused =
      diffusion.run(without_flag(called("diffusion").usual, "--beta") + " --beta 2 2");
  CHECK(diffused.code == 0);
  CHECK_THAT(diffused.err, Contains("warning: --beta has 2 more than once"));
  CHECK(rows_of(diffusion.content("out/diffusion.csv")).size() == 2);
}

TEST_CASE("programs: an input that cannot be read is named with the reason",
          "[examples][hostile]") {
  struct reader {
    std::string program;
    std::string arguments;
  };
  for (reader const& each :
       {reader{"losses", "--loss dpo "}, reader{"losses", "--check "},
        reader{"recommend", "--output out --ratings "},
        reader{"recommend", "--output out --preferences "}, reader{"audit", "--quiet --data "},
        reader{"audit", "--quiet --labels --data "},
        reader{"audit", "--quiet --scored list --data "},
        reader{"sweep", "--output out --task ratings --ratings "}}) {
    auto const& program = called(each.program);
    workplace const place(program.name, program.executable);
    place.file("empty", "");
    place.file("binary", std::string("\x7f"
                                     "ELF\0\1\2\3\xff\xfe",
                                     10));
    std::filesystem::create_directories(place / "folder");
    for (std::string const input : {"empty", "binary", "folder", "missing"}) {
      INFO(program.name << ' ' << each.arguments << input);
      auto const run = place.run(each.arguments + input);
      CHECK(run.code == 1);
      check_sentence(run, program.name);
      CHECK_THAT(run.err, StartsWith(program.name + ": " + input));
    }
  }
}
