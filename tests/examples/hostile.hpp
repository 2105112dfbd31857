// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "workplace.hpp"

// What people type by mistake, and worse, for every program: each flag that takes a number, each kind of text that is none.

namespace prefer::test {

/// A program with arguments that make it run for milliseconds, its flags that take a number, those that take one of a few
/// words, and the one that names where something goes.
struct hostile_case {
  std::string name;
  std::string executable;
  std::string usual;
  std::vector<std::string> numbers;
  std::vector<std::string> words = {};
  std::string output = "--output";
};

/// `usual` without one of its flags, which is given otherwise.
inline std::string without_flag(std::string usual, std::string const& flag) {
  std::size_t const at = usual.find(flag + " ");
  if (at == std::string::npos) return usual;
  std::size_t const end = usual.find(" --", at);
  return usual.erase(at, end == std::string::npos ? end : end + 1 - at);
}

/// One sentence about the place, without a word of a library and without a doubled colon.
inline void check_sentence(outcome const& run, std::string const& program) {
  using Catch::Matchers::Contains;
  INFO(run.err);
  CHECK(run.out.empty());
  CHECK(std::count(run.err.begin(), run.err.end(), '\n') == 1);
  CHECK_THAT(run.err, Catch::Matchers::StartsWith(program + ": "));
  for (char const* word : {": :", "::", "terminate", "what()", "stod", "lexical", "json.exception",
                           "std::", "Could not convert", "basic_"}) {
    CHECK_THAT(run.err, !Contains(word));
  }
}

/// A number that is none is refused in a sentence, by every flag of the program, which runs in `place`.
inline void check_numbers(workplace const& place, hostile_case const& each) {
  using Catch::Matchers::Contains;
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

/// Without an argument the help is on standard error.
inline void check_help(hostile_case const& each) {
  using Catch::Matchers::Contains;
  using Catch::Matchers::StartsWith;
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

/// An unknown flag has a near one, a flag given twice is refused.
inline void check_flags(hostile_case const& each) {
  workplace const place(each.name, each.executable);
  auto const refused = [&](std::string const& arguments, std::string const& sentence) {
    INFO(each.name << ' ' << arguments);
    auto const run = place.run(arguments);
    CHECK(run.code == 2);
    check_sentence(run, each.name);
    CHECK_THAT(run.err, Catch::Matchers::Contains(sentence));
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

}  // namespace prefer::test
