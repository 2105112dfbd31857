// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>

#include "json.hpp"
#include "json_config.hpp"

// What a program was told, by its arguments, a file of them, or nobody.

namespace program {

namespace inside {
inline CLI::App const* parsed = nullptr;

/// A number where it is written as JSON writes it, else a text.
inline json typed(std::string const& text) {
  auto const number = json::parse(text, nullptr, false);
  return number.is_number() && number.dump() == text ? number : json(text);
}

}  // namespace inside

/// Every argument that results depend on, given or left to its default: all but these, which say where data come from,
/// and those that say where results go and how fast.
[[nodiscard]] inline json arguments_but(std::vector<std::string> left_out) {
  left_out.insert(left_out.end(), {"--output", "--threads", "--quiet", "--json", "--help",
                                   "--version", "--config"});
  json out = json::object();
  for (auto const* option : inside::parsed->get_options()) {
    std::string const name = option->get_name();
    if (std::find(left_out.begin(), left_out.end(), name) != left_out.end()) continue;
    std::string text;
    for (auto const& each : option->results()) text += (text.empty() ? "" : " ") + each;
    out[name] = option->count() != 0 ? text : option->get_default_str();
  }
  return out;
}

/// Every flag with the value that holds, as --config reads it; those that have none are left out.
[[nodiscard]] inline json effective_options() {
  json out = json::object();
  for (auto const* option : inside::parsed->get_options()) {
    std::string const name = inside::config_name(*option);
    if (!inside::is_setting(name)) continue;
    if (option->get_expected_max() == 0) {
      out[name] = option->count() != 0;
      continue;
    }
    auto words = option->results();
    if (words.empty() && !option->get_default_str().empty()) {
      words = inside::words_of_default(option->get_default_str());
    }
    if (words.empty()) continue;
    if (words.size() == 1) {
      out[name] = inside::typed(words.front());
    } else {
      out[name] = json::array();
      for (std::string const& each : words) out[name].push_back(inside::typed(each));
    }
  }
  return out;
}

/// What a document of results begins with: the program, its version and every option.
[[nodiscard]] inline json results_document() {
  json out = document();
  out["options"] = effective_options();
  return out;
}

}  // namespace program
