// SPDX-License-Identifier: MIT
#pragma once

#include <cstdio>
#include <string>

#include "signals.hpp"
#include "voice.hpp"

namespace program {

/// The command as it was given, quoted for a shell.
inline std::string command;

namespace inside {

inline std::string quoted_for_a_shell(std::string const& text) {
  constexpr char const* plain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./,:=+@%";
  if (!text.empty() && text.find_first_not_of(plain) == std::string::npos) return text;
  std::string out = "'";
  for (char const c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

}  // namespace inside

/// What a stopped program says, and its exit code. `kept` is where what is done now lies.
[[nodiscard]] inline int stopped(std::string const& kept) {
  std::fprintf(stderr, "%s: interrupted; %s; to go on: %s\n", own_name.c_str(), kept.c_str(),
               command.c_str());
  return exit_interrupted();
}

}  // namespace program
