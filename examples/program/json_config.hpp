// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <istream>
#include <iterator>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "arguments.hpp"

// Flags in a file: --config FILE, an object of JSON with the flags' names.

namespace program {

namespace inside {

/// What a flag is called in a file: "beta" of --beta, and of an argument without a flag its own name.
inline std::string config_name(CLI::Option const& option) {
  return option.get_lnames().empty() ? option.get_name(true, false) : option.get_lnames().front();
}

/// Flags that are no settings.
inline bool is_setting(std::string const& name) {
  return name != "config" && name != "help" && name != "version";
}

/// Words of a default as the parser writes lists: [a,b].
inline std::vector<std::string> words_of_default(std::string const& text) {
  if (text.size() < 2 || text.front() != '[' || text.back() != ']') return {text};
  std::vector<std::string> all;
  std::string const inner = text.substr(1, text.size() - 2);
  for (std::size_t at = 0; at < inner.size();) {
    std::size_t const end = std::min(inner.find(',', at), inner.size());
    all.push_back(inner.substr(at, end - at));
    at = end + 1;
  }
  return all;
}

/// Reads flags from JSON for the parser. What stands on the command line goes before what stands in the file.
class json_config : public CLI::Config {
 public:
  explicit json_config(CLI::App const& app) : app_(app) {}

  std::string to_config(CLI::App const*, bool, bool, std::string) const override { return ""; }

  std::vector<CLI::ConfigItem> from_config(std::istream& input) const override {
    std::string const text{std::istreambuf_iterator<char>(input), std::istreambuf_iterator<char>()};
    std::set<std::string> seen;
    std::string twice;
    auto const look = [&](int depth, nlohmann::ordered_json::parse_event_t event,
                          nlohmann::ordered_json& parsed) {
      bool const key = event == nlohmann::ordered_json::parse_event_t::key && depth == 1;
      if (key && !seen.insert(parsed.get<std::string>()).second) twice = parsed.get<std::string>();
      return true;
    };
    nlohmann::ordered_json settings;
    try {
      settings = nlohmann::ordered_json::parse(text, look);
    } catch (nlohmann::json::exception const& error) {
      std::string const what = error.what();
      fail("is no JSON" + what.substr(std::min(what.find(": "), what.size())));
    }
    if (!settings.is_object()) fail("is no object; expected flags, as in {\"threads\": 2}");
    if (!twice.empty()) fail(in_quotes(twice) + " is there twice");
    std::vector<CLI::ConfigItem> given;
    for (auto const& [name, value] : settings.items()) {
      CLI::Option const& option = option_called(name);
      CLI::ConfigItem item;
      item.name = name;
      if (option.get_expected_max() == 0) {
        if (!value.is_boolean()) fail(in_quotes(name) + ": expected true or false");
        if (!value.get<bool>()) continue;
        item.inputs = {"true"};
      } else {
        item.inputs = inputs_of(name, value);
        // What holds anyway is not given: results name every flag, those too that go with others alone.
        if (item.inputs == words_of_default(option.get_default_str())) continue;
      }
      given.push_back(std::move(item));
      taken_.insert("--" + name);
    }
    return given;
  }

  /// The file, where a sentence begins with a flag that came from it.
  [[nodiscard]] std::string place_of(std::string const& sentence, int argc,
                                     char const* const* argv) const {
    std::string const flag = sentence.substr(0, sentence.find_first_of(": "));
    if (taken_.count(flag) == 0) return "";
    bool const given_here = std::any_of(argv + 1, argv + argc, [&](std::string const& argument) {
      return argument == flag || argument.rfind(flag + "=", 0) == 0;
    });
    return given_here ? "" : path() + ": ";
  }

 private:
  [[nodiscard]] std::string path() const { return app_.get_config_ptr()->as<std::string>(); }
  [[noreturn]] void fail(std::string const& reason) const {
    throw CLI::ConfigError(path() + ": " + reason, CLI::ExitCodes::ConfigError);
  }

  [[nodiscard]] CLI::Option const& option_called(std::string const& name) const {
    std::string near;
    for (auto const* option : app_.get_options()) {
      std::string const known = config_name(*option);
      if (known == name && is_setting(known)) return *option;
      if (is_setting(known) && prefer::text::misspells(name, known)) near = known;
    }
    std::string dashed = name;
    std::replace(dashed.begin(), dashed.end(), '_', '-');
    if (dashed != name && app_.get_option_no_throw("--" + dashed) != nullptr) near = dashed;
    fail("there is no flag " + in_quotes(name) +
         (near.empty() ? "; expected names of flags without their dashes"
                       : "; did you mean " + in_quotes(near) + "?"));
  }

  static std::string text_of(nlohmann::ordered_json const& value) {
    return value.is_string() ? value.get<std::string>() : value.dump();
  }
  /// A value, a list of values, or an object of what is written NAME=VALUE on the command line.
  [[nodiscard]] std::vector<std::string> inputs_of(std::string const& name,
                                                   nlohmann::ordered_json const& value) const {
    std::vector<std::string> all;
    auto const add = [&](std::string const& before, nlohmann::ordered_json const& each) {
      if (each.is_null() || each.is_structured()) {
        fail(in_quotes(name) + ": expected a number, a text, true or false, or a list of them");
      }
      all.push_back(before + text_of(each));
    };
    if (value.is_array()) {
      for (auto const& each : value) add("", each);
    } else if (value.is_object()) {
      for (auto const& [key, each] : value.items()) add(key + "=", each);
    } else {
      add("", value);
    }
    if (all.empty()) fail(in_quotes(name) + ": found nothing; leave the flag out instead");
    return all;
  }

  CLI::App const& app_;
  mutable std::set<std::string> taken_;  // flags that were read, with their dashes
};

}  // namespace inside

}  // namespace program
