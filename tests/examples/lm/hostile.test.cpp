// SPDX-License-Identifier: MIT
//
// What people type by mistake, and worse: the programs that score and tune, every flag that takes a number, and those that
// take one of a few words.
#include <algorithm>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "../workplace.hpp"

namespace {

using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;
using prefer::test::workplace;

/// A program, its flags that take a number, and those that take one of a few words.
struct hostile_case {
  std::string name;
  std::string executable;
  std::vector<std::string> numbers;
  std::vector<std::string> words;
};

std::vector<hostile_case> const programs = {
    {"score",
     PREFER_EXAMPLE_SCORE,
     {"--beta", "--threads", "--max-length", "--max-prompt"},
     {"--rows", "--texts", "--truncate", "--products", "--compute", "--storage", "--outputs",
      "--bad-rows", "--ties"}},
    {"tune",
     PREFER_EXAMPLE_TUNE,
     {"--beta",          "--threads",      "--max-length",   "--max-prompt",
      "--max-bad",       "--epochs",       "--batch",        "--accumulate",
      "--micro-tokens",  "--lr",           "--warmup",       "--weight-decay",
      "--clip",          "--seed",         "--lora",         "--lora-alpha",
      "--lora-dropout",  "--save-every",   "--sample-every", "--samples",
      "--sample-tokens", "--skip-settled", "--rounds",       "--n",
      "--max-tokens",    "--temperature",  "--top-k",        "--top-p",
      "--min-margin"},
     {"--scorer", "--texts", "--truncate", "--products", "--compute", "--storage", "--schedule",
      "--bad-rows", "--ties"}}};

std::string const usual =
    "--model " PREFER_GOLDEN_DIR "/lm_tiny/llama_tied --data pairs.jsonl --quiet ";

/// One sentence about the place, without a word of a library and without a doubled colon.
void check_sentence(prefer::test::outcome const& run, std::string const& program) {
  INFO(run.err);
  CHECK(run.code == 2);
  CHECK(run.out.empty());
  CHECK(std::count(run.err.begin(), run.err.end(), '\n') == 1);
  CHECK_THAT(run.err, StartsWith(program + ": "));
  for (char const* word : {": :", "::", "terminate", "what()", "stod", "lexical", "json.exception",
                           "Could not convert", "basic_"}) {
    CHECK_THAT(run.err, !Contains(word));
  }
}

}  // namespace

TEST_CASE("programs for language models: a number that is none is refused, by every flag",
          "[examples][hostile]") {
  for (auto const& each : programs) {
    workplace const place(each.name, each.executable);
    for (auto const& flag : each.numbers) {
      for (std::string const text : {"''", "nan", "inf", "1e400", "-1", "abc"}) {
        INFO(each.name << ' ' << flag << ' ' << text);
        auto const run = place.run(usual + flag + " " + text);
        check_sentence(run, each.name);
        CHECK_THAT(run.err, Contains(flag));
      }
    }
  }
}

TEST_CASE("programs for language models: a word that a flag does not know is refused",
          "[examples][hostile]") {
  for (auto const& each : programs) {
    workplace const place(each.name, each.executable);
    for (auto const& flag : each.words) {
      for (std::string const word : {"''", "zzz", "0"}) {
        INFO(each.name << ' ' << flag << ' ' << word);
        auto const run = place.run(usual + flag + " " + word);
        check_sentence(run, each.name);
        CHECK_THAT(run.err, Contains(flag));
      }
    }
  }
}

TEST_CASE("programs for language models: without arguments they teach, and a flag of none is named",
          "[examples][hostile]") {
  for (auto const& each : programs) {
    workplace const place(each.name, each.executable);
    auto const nothing = place.run("");
    CHECK(nothing.code == 2);
    CHECK_THAT(nothing.err, Contains("--model") && Contains(each.name + " --model"));
    CHECK(place.run("--help").code == 0);
    check_sentence(place.run(usual + "--modle x"), each.name);
  }
}
