// SPDX-License-Identifier: MIT
#pragma once

#include <cstdio>
#include <exception>
#include <string>

#include <CLI/CLI.hpp>

#include <prefer/expects.hpp>

// What the programs have in common: how they read their arguments, and how they fail.

namespace program {

/// For an option that is a number greater than zero; CLI11's own check lets nan and inf through.
inline CLI::Validator positive_and_finite() {
  return CLI::Validator(
      [](std::string& text) -> std::string {
        double number = 0.0;
        if (CLI::detail::lexical_cast(text, number) && number > 0.0 && number < 1e300) return "";
        return text + " is not a finite number greater than zero";
      },
      "FLOAT > 0");
}

/// Parses the arguments and calls `body()`, whose result is the exit code. What goes wrong is one sentence on standard
/// error: 2 for what the user can say better, 1 for what failed outside.
template <class Body>
int run(CLI::App& app, int argc, char** argv, Body const& body) {
  std::string const name = app.get_name();
  auto const fail = [&](std::string const& sentence, int code) {
    std::fprintf(stderr, "%s: %s\n", name.c_str(), sentence.c_str());
    return code;
  };
  try {
    app.parse(argc, argv);
  } catch (CLI::ParseError const& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help
    return fail(std::string(error.what()) + "; --help shows examples", 2);
  }
  try {
    return body();
  } catch (prefer::backend_error const& error) {
    // The place says more to a user than the call that failed.
    std::string const what = error.what();
    return fail(what.substr(what.find(error.place())), 1);
  } catch (prefer::precondition_error const& error) {
    return fail(error.what(), 2);
  } catch (std::exception const& error) {
    return fail(error.what(), 1);
  }
}

}  // namespace program
