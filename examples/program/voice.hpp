// SPDX-License-Identifier: MIT
#pragma once

#include <cstdio>
#include <string>

// What a program says besides its results, and how much of it.

namespace program {

/// The program's name, in front of all that it says; `run` sets it.
inline std::string own_name = "program";

/// --quiet: only what was asked for, and what is wrong.
inline bool quiet = false;

/// --json: a document for machines on standard output instead of tables.
inline bool as_json = false;

/// Says on standard error what the user may like to know, unless --quiet.
inline void say(std::string const& sentence) {
  if (!quiet) std::fprintf(stderr, "%s: %s\n", own_name.c_str(), sentence.c_str());
}

/// Says on standard error what the user should know, and goes on.
inline void warn(std::string const& sentence) {
  std::fprintf(stderr, "%s: warning: %s\n", own_name.c_str(), sentence.c_str());
}

}  // namespace program
