// SPDX-License-Identifier: MIT
#pragma once

#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <prefer/expects.hpp>
#include <prefer/version.hpp>

#include "program/arguments.hpp"
#include "program/claim.hpp"
#include "program/completion.hpp"
#include "program/effective_options.hpp"
#include "program/json.hpp"
#include "program/json_config.hpp"
#include "program/kept.hpp"
#include "program/kept_rows.hpp"
#include "program/output.hpp"
#include "program/progress.hpp"
#include "program/signals.hpp"
#include "program/stopped.hpp"
#include "program/voice.hpp"

// What the programs have in common: how they say what they do, read their arguments, stop and fail.

namespace program {

/// What a program says of itself with --help.
struct about {
  char const* name;
  char const* description;
  char const* examples = "";  // below the options
};

/// Declares the options, parses the arguments and calls `body(given)`, whose result is the exit code. What goes wrong is
/// one sentence on standard error: 2 for what the user can say better, which without any argument is the whole help, and
/// 1 for what failed outside. Where nobody reads standard output any more, the program ends as others do, by SIGPIPE.
template <class Arguments, class Declare, class Body>
int run(int argc, char** argv, about const& what, Declare const& declare, Body const& body) {
  own_name = what.name;
  ::signal(SIGPIPE, SIG_IGN);  // a temporary file is removed first
  ::signal(SIGXFSZ, SIG_IGN);  // a limit on files is an error of the write that meets it
  CLI::App app(what.description, what.name);
  app.footer(what.examples);
  app.set_version_flag("--version", std::string(what.name) + " (prefer) " PREFER_VERSION_STRING);
  for (int i = 0; i < argc; ++i) {
    command += (i == 0 ? "" : " ") + inside::quoted_for_a_shell(argv[i]);
  }
  app.add_flag("--json", as_json, "Results as JSON on standard output, and nothing else there");
  app.add_flag("--quiet", quiet, "No progress, no summary and no list of files written");
  auto const config = std::make_shared<inside::json_config>(app);
  app.config_formatter(config);
  app.set_config("--config", "",
                 "Flags as an object of JSON, {\"threads\": 2}; those given here go before them")
      ->type_name("FILE")
      ->check(path())
      ->expected(1);
  Arguments given;
  declare(app, given);
  for (auto* option : app.get_options([](CLI::Option* o) { return o->get_expected_max() == 0; })) {
    option->disable_flag_override();
  }
  auto const fail = [&](std::string const& sentence, int code) {
    std::fprintf(stderr, "%s: %s\n", what.name, sentence.c_str());
    return code;
  };
  // Bodies that print by printf are held to the same: what was printed has arrived, or the program has failed.
  auto const delivered = [&](auto const& action) {
    int code = 1;
    try {
      code = action();
      flush();
      return code;
    } catch (reader_gone const&) {
      ::signal(SIGPIPE, SIG_DFL);
      ::raise(SIGPIPE);
      return 128 + SIGPIPE;
    } catch (prefer::backend_error const& error) {
      // The place says more to a user than the call that failed.
      std::string const sentence = error.what();
      return fail(sentence.substr(sentence.find(error.place())), code == 0 ? 1 : code);
    } catch (prefer::precondition_error const& error) {
      return fail(error.what(), 2);
    } catch (std::exception const& error) {
      return fail(error.what(), 1);
    }
  };
  if (argc == 1) {
    std::fputs(app.help().c_str(), stderr);
    return 2;
  }
  if (argc == 2 && std::string(argv[1]) == bash_completion_flag) {
    return delivered([&] {
      print(bash_completion(app));
      return 0;
    });
  }
  try {
    app.parse(argc, argv);
  } catch (CLI::CallForHelp const&) {
    return delivered([&] {
      print(app.help());
      return 0;
    });
  } catch (CLI::CallForVersion const& version) {
    return delivered([&] {
      print(std::string(version.what()) + "\n");
      return 0;
    });
  } catch (CLI::ParseError const& error) {
    std::string const reason = inside::explained(app, error);
    return fail(config->place_of(reason, argc, argv) + reason, 2);
  }
  inside::parsed = &app;
  return delivered([&] { return body(given); });
}

}  // namespace program
