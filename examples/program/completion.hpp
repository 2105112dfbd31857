// SPDX-License-Identifier: MIT
#pragma once

#include <map>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace program {

/// Given alone, it makes a program write its completion for bash. The build calls it; --help does not list it.
inline constexpr char const* bash_completion_flag = "--bash-completion";

/// Words that a flag takes among others, such as names in a list, by the flag; those of `one_of` need no entry.
inline std::map<std::string, std::vector<std::string>> suggested;

namespace inside {

/// What `one_of` wrote into an option's kind, with spaces; empty for others.
inline std::string choices_of(std::string const& kind) {
  std::size_t const open = kind.find('{');
  std::size_t const close = kind.find('}', open);
  if (open == std::string::npos || close == std::string::npos) return "";
  std::string words = kind.substr(open + 1, close - open - 1);
  for (char& c : words) {
    if (c == ',') c = ' ';
  }
  return words;
}

inline std::string joined(std::vector<std::string> const& words) {
  std::string out;
  for (auto const& word : words) out += (out.empty() ? "" : " ") + word;
  return out;
}

/// The command that completes an option's value; a number has none.
inline std::string completing(CLI::Option const& option) {
  std::string const kind = option.get_type_name();
  std::string words = choices_of(kind);
  auto const more = suggested.find(option.get_name());
  if (more != suggested.end()) words = joined(more->second);
  if (!words.empty()) return "COMPREPLY=($(compgen -W '" + words + "' -- \"$cur\"))";
  if (kind.find("FOLDER") != std::string::npos) {
    return "compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- \"$cur\")";
  }
  if (kind.find("FILE") != std::string::npos) {
    return "compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")";
  }
  return ":";
}

}  // namespace inside

/// A script for bash that completes this program's flags, their words, files and folders: from the options as the parser
/// knows them, so that the two cannot differ.
[[nodiscard]] inline std::string bash_completion(CLI::App const& app) {
  std::string const program = app.get_name();
  std::string flags;
  std::string cases;
  std::string rest = ":";
  for (auto const* option : app.get_options()) {
    if (option->get_positional()) rest = inside::completing(*option);
    std::string names;
    for (auto const& name : option->get_snames()) names += (names.empty() ? "-" : "|-") + name;
    for (auto const& name : option->get_lnames()) {
      flags += (flags.empty() ? "--" : " --") + name;
      names += (names.empty() ? "--" : "|--") + name;
    }
    bool const takes_value = option->get_expected_max() > 0 && option->get_items_expected_max() > 0;
    if (names.empty() || !takes_value) continue;
    cases += "    " + names + ")\n      " + inside::completing(*option) + "\n      return ;;\n";
  }
  std::string const function = "_prefer_" + program;
  return "# bash completion of " + program + ", written by " + program + " itself\n" + function +
         "() {\n"
         "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
         "  # --flag=value comes in three words\n"
         "  if [[ $cur == = ]]; then\n    cur=\n"
         "  elif [[ $prev == = && COMP_CWORD -gt 1 ]]; then\n"
         "    prev=${COMP_WORDS[COMP_CWORD-2]}\n  fi\n"
         "  COMPREPLY=()\n"
         "  case $prev in\n" +
         cases +
         "  esac\n"
         "  if [[ $cur == -* ]]; then\n"
         "    COMPREPLY=($(compgen -W '" +
         flags +
         "' -- \"$cur\"))\n"
         "  else\n    " +
         rest + "\n  fi\n}\ncomplete -F " + function + " " + program + "\n";
}

}  // namespace program
