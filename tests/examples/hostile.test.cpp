// SPDX-License-Identifier: MIT
//
// What people type by mistake, and worse: every program, every flag that takes a number, every kind of text that is none.

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "workplace.hpp"

namespace {

using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;
using namespace prefer::test;

/// A program with arguments that make it run for milliseconds, its flags that take a number, those that take one of a few
/// words, and the one that names where something goes.
struct hostile_case {
  std::string name;
  std::string executable;
  std::string usual;
  std::vector<std::string> numbers;
  std::vector<std::string> words;
  std::string output = "--output";
};

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
    {"sweep",
     PREFER_EXAMPLE_SWEEP,
     "--output out --beta 1 --reference start --seeds 1 --steps 1 --actions 4 --pairs 9",
     {"--beta", "--seeds", "--steps", "--flip", "--bias", "--pairs", "--actions", "--factors",
      "--start-epochs", "--rate", "--threads"},
     {"--study", "--task"}},
    {"diffusion",
     PREFER_EXAMPLE_DIFFUSION,
     "--output out --modes 2 --preferred 0 --points 16 --hidden 2 --noise-levels 2 --batch-size 4 "
     "--start-steps 1 --steps 1 --samples 4 --beta 1",
     {"--modes", "--preferred", "--beta", "--points", "--hidden", "--noise-levels", "--batch-size",
      "--start-steps", "--start-rate", "--steps", "--rate", "--samples", "--seed", "--threads"},
     {}},
};

/// `usual` without one of its flags, which is given otherwise.
std::string without_flag(std::string usual, std::string const& flag) {
  std::size_t const at = usual.find(flag + " ");
  if (at == std::string::npos) return usual;
  std::size_t const end = usual.find(" --", at);
  return usual.erase(at, end == std::string::npos ? end : end + 1 - at);
}

hostile_case const& called(std::string const& name) {
  return *std::find_if(programs.begin(), programs.end(),
                       [&](hostile_case const& each) { return each.name == name; });
}

constexpr char const* pair_of_texts =
    R"({"prompt": "Name a bird.", "chosen": "Wren.", "rejected": "Oak."})"
    "\n";

/// One sentence about the place, without a word of a library and without a doubled colon.
void check_sentence(outcome const& run, std::string const& program) {
  INFO(run.err);
  CHECK(run.out.empty());
  CHECK(std::count(run.err.begin(), run.err.end(), '\n') == 1);
  CHECK_THAT(run.err, StartsWith(program + ": "));
  for (char const* word : {": :", "::", "terminate", "what()", "stod", "lexical", "json.exception",
                           "std::", "Could not convert", "basic_"}) {
    CHECK_THAT(run.err, !Contains(word));
  }
}

}  // namespace

TEST_CASE("programs: a number that is none is refused in a sentence, by every flag",
          "[examples][hostile]") {
  for (auto const& each : programs) {
    workplace const place(each.name, each.executable);
    place.file("ratings.inter", tiny_ratings());
    place.file("rows.jsonl", pair_of_texts);
    for (auto const& flag : each.numbers) {
      std::string const stem = flag.substr(0, flag.find(' '));
      std::string const glue = flag == "--set beta" ? "=" : " ";
      for (std::string const text : {"''", "nan", "inf", "1e400", "-1", "abc", "0"}) {
        bool const may_hold = text == "0" || text == "-1";
        // Below every rating it is a sensible number, of which these data have no use.
        if (flag == "--disliked-to" && may_hold) continue;
        INFO(each.name << ' ' << flag << ' ' << text);
        auto const run = place.run(without_flag(each.usual, stem) + " " + flag + glue + text);
        CHECK((run.code == 2 || (may_hold && run.code == 0)));
        if (run.code == 0) continue;
        check_sentence(run, each.name);
        CHECK_THAT(run.err, Contains(stem) || Contains(stem.substr(2)));
      }
    }
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
  for (auto const& each : programs) {
    workplace const place(each.name, each.executable);
    auto const nothing = place.run("");
    CHECK(nothing.code == 2);
    CHECK(nothing.out.empty());
    auto const help = place.run("--help");
    CHECK(help.code == 0);
    CHECK(help.err.empty());
    CHECK(nothing.err == help.out);
    CHECK_THAT(help.out, Contains("--json") && Contains("--quiet"));
    auto const version = place.run("--version");
    CHECK(version.code == 0);
    CHECK_THAT(version.out, StartsWith(each.name + " (prefer) "));
  }
}

TEST_CASE("programs: an unknown flag has a near one, a flag given twice is refused",
          "[examples][hostile]") {
  for (auto const& each : programs) {
    workplace const place(each.name, each.executable);
    auto const refused = [&](std::string const& arguments, std::string const& sentence) {
      INFO(each.name << ' ' << arguments);
      auto const run = place.run(arguments);
      CHECK(run.code == 2);
      check_sentence(run, each.name);
      CHECK_THAT(run.err, Contains(sentence));
    };
    std::string const& flag = each.output;
    std::string misspelt = flag;
    std::swap(misspelt[flag.size() - 1], misspelt[flag.size() - 2]);
    refused(misspelt + " x", "there is no flag " + misspelt + "; did you mean " + flag + "?");
    refused("--zzzzzz", "there is no flag --zzzzzz; --help");
    refused(flag + " a " + flag + " b", flag + ": found 2 values; expected one, once");
    refused(flag, flag + ": found nothing behind it; expected a value");
    refused(flag + " ''", flag + ": found \"\"; expected the name of a file or folder");
  }
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
                      "expected bandit, bigram or ratings; did you mean \"bandit\"?", 2);
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
