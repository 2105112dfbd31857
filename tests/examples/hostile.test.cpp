// SPDX-License-Identifier: MIT
//
// What people type by mistake, and worse: every program, every flag that takes a number, every kind of text that is none.

#include <catch2/catch.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "hostile.hpp"
#include "workplace.hpp"

namespace {

using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;
using namespace prefer::test;

std::vector<hostile_case> const programs = {
    {"losses", PREFER_EXAMPLE_LOSSES, "--loss dpo --plot a.svg", {"--margins 0", "--set beta"}},
    {"recommend",
     PREFER_EXAMPLE_RECOMMEND,
     "--ratings ratings.inter --output out --factors 2 --start-epochs 1 --epochs 1 --pairs 1 "
     "--beta 1 --seeds 1",
     {"--beta", "--seeds", "--factors", "--batch-size", "--start-epochs", "--start-rate",
      "--start-weight-decay", "--epochs", "--pairs", "--rate", "--liked-from", "--disliked-to",
      "--samples", "--memory", "--threads"}},
    {"sweep",
     PREFER_EXAMPLE_SWEEP,
     "--output out --beta 1 --reference start --seeds 1 --steps 1 --actions 4 --pairs 9",
     {"--beta", "--seeds", "--steps", "--flip", "--bias", "--pairs", "--actions", "--factors",
      "--start-epochs", "--rate", "--threads"}},
    {"diffusion",
     PREFER_EXAMPLE_DIFFUSION,
     "--output out --modes 2 --preferred 0 --points 16 --hidden 2 --noise-levels 2 --batch-size 4 "
     "--start-steps 1 --steps 1 --samples 4 --beta 1",
     {"--modes", "--preferred", "--beta", "--points", "--hidden", "--noise-levels", "--batch-size",
      "--start-steps", "--start-rate", "--steps", "--rate", "--samples", "--seed", "--threads"}},
};

}  // namespace

TEST_CASE("programs: a number that is none is refused in a sentence, by every flag",
          "[examples][hostile]") {
  for (auto const& each : programs) {
    workplace const place(each.name, each.executable);
    place.file("ratings.inter", tiny_ratings());
    check_numbers(place, each);
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
                      "expected bandit, bigram or ratings; did you mean \"bandit\"?", 2);
}

TEST_CASE("programs: a value that a list has twice is taken once, and said",
          "[examples][hostile]") {
  workplace const sweep("sweep", PREFER_EXAMPLE_SWEEP);
  auto const swept = sweep.run(without_flag(programs[2].usual, "--beta") + " --beta 0.5,0.5");
  CHECK(swept.code == 0);
  CHECK(swept.err == "sweep: warning: --beta has 0.5 more than once; it is taken once\n");
  workplace const diffusion("diffusion", PREFER_EXAMPLE_DIFFUSION);
  auto const diffused = diffusion.run(without_flag(programs[3].usual, "--beta") + " --beta 2 2");
  CHECK(diffused.code == 0);
  CHECK_THAT(diffused.err, Contains("warning: --beta has 2 more than once"));
  CHECK(rows_of(diffusion.content("out/diffusion.csv")).size() == 2);
}

TEST_CASE("programs: an input that cannot be read is named with the reason",
          "[examples][hostile]") {
  struct reader {
    std::size_t program;
    std::string arguments;
  };
  for (reader const& each :
       {reader{0, "--loss dpo "}, reader{0, "--check "}, reader{1, "--output out --ratings "},
        reader{1, "--output out --preferences "},
        reader{2, "--output out --task ratings --ratings "}}) {
    auto const& program = programs[each.program];
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
