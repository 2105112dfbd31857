// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <system_error>

#include <CLI/CLI.hpp>

#include <prefer/expects.hpp>

// What the programs have in common: how they say what they do, read their arguments, stop and fail.

namespace program {

/// What a program says of itself with --help.
struct about {
  char const* name;
  char const* description;
  char const* examples = "";     // below the options
  bool needs_arguments = false;  // without any it shows its help and ends with 2
};

/// Declares the options, parses the arguments and calls `body(given)`, whose result is the exit code. What goes wrong is
/// one sentence on standard error: 2 for what the user can say better, 1 for what failed outside.
template <class Arguments, class Declare, class Body>
int run(int argc, char** argv, about const& what, Declare const& declare, Body const& body) {
  CLI::App app(what.description, what.name);
  app.footer(what.examples);
  Arguments given;
  declare(app, given);
  if (what.needs_arguments && argc == 1) {
    std::fputs(app.help().c_str(), stderr);
    return 2;
  }
  auto const fail = [&](std::string const& sentence, int code) {
    std::fprintf(stderr, "%s: %s\n", what.name, sentence.c_str());
    return code;
  };
  try {
    app.parse(argc, argv);
  } catch (CLI::ParseError const& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help
    return fail(std::string(error.what()) + "; --help shows examples", 2);
  }
  try {
    return body(given);
  } catch (prefer::backend_error const& error) {
    // The place says more to a user than the call that failed.
    std::string const sentence = error.what();
    return fail(sentence.substr(sentence.find(error.place())), 1);
  } catch (prefer::precondition_error const& error) {
    return fail(error.what(), 2);
  } catch (std::exception const& error) {
    return fail(error.what(), 1);
  }
}

/// For an option that is a number greater than zero; CLI11's own check lets nan and inf through.
inline CLI::Validator positive_and_finite() {
  return CLI::Validator(
      [](std::string& text) -> std::string {
        double number = 0.0;
        char const* const end = text.data() + text.size();
        auto const read = std::from_chars(text.data(), end, number);
        bool const whole = read.ec == std::errc() && read.ptr == end;
        if (whole && number > 0.0 && number < 1e300) return "";
        return text + " is not a finite number greater than zero";
      },
      "FLOAT > 0");
}

inline void add_threads(CLI::App& app, unsigned& threads) {
  app.add_option("--threads", threads, "Threads; results do not depend on it")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
}

/// Makes a folder for results, with those that it lies in.
inline void make_folder(std::string const& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) {
    prefer::refuse(
        prefer::backend_error("program", path, "cannot create this folder: " + error.message()));
  }
}

/// Whether somebody asked for the end, since `stop_when_asked` was called.
inline std::atomic<bool> interrupted = false;
inline constexpr int exit_interrupted = 130;

/// From here on Ctrl-C and a polite kill set `interrupted`, so that what is at work can be finished.
inline void stop_when_asked() {
  auto* const remember = +[](int) { interrupted = true; };
  std::signal(SIGINT, remember);
  std::signal(SIGTERM, remember);
}

}  // namespace program
