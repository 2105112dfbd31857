// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include <prefer/text/number.hpp>
#include <prefer/text/spelling.hpp>

#include "voice.hpp"

// What may stand behind a flag, and the sentences about what may not: each names the place, what was found there and
// what was expected.

namespace program {

/// A number as people write it: 0.1, 1000000, 1e9, 1e-7.
[[nodiscard]] inline std::string written(double value) {
  double const size = std::fabs(value);
  std::string text = prefer::text::shortest(value);
  std::size_t const e = text.find('e');
  if (e == std::string::npos) return text;
  if (size >= 1e-4 && size < 1e7) {
    text = prefer::text::fixed(value, 10);
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.') text.pop_back();
    return text;
  }
  // 1e+09 is 1e9, and 1e-07 is 1e-7.
  std::string out = text.substr(0, e + 1) + (text[e + 1] == '-' ? "-" : "");
  std::size_t const digits = std::min(text.find_first_not_of("+-0", e + 1), text.size() - 1);
  return out + text.substr(digits);
}

[[nodiscard]] inline std::string in_quotes(std::string_view text) {
  return '"' + std::string(text) + '"';
}

/// All of `text` as a number; nothing if it is none, or too large for its type.
template <class T>
[[nodiscard]] std::optional<T> read_number(std::string_view text) {
  T value{};
  char const* const end = text.data() + text.size();
  auto const read = std::from_chars(text.data(), end, value);
  if (read.ec != std::errc() || read.ptr != end) return std::nullopt;
  return value;
}

namespace inside {

inline CLI::Validator expecting(std::string const& expected, std::string const& kind, auto holds) {
  return CLI::Validator(
      [=](std::string& text) -> std::string {
        return holds(text) ? "" : "found " + in_quotes(text) + "; expected " + expected;
      },
      kind);
}

inline CLI::Validator real(std::string const& expected, std::string const& kind, auto holds) {
  return expecting(expected, kind, [=](std::string const& text) {
    auto const value = read_number<double>(text);
    return value && std::isfinite(*value) && holds(*value);
  });
}

}  // namespace inside

/// For an option that is a whole number. Digits are decimal: 010 is ten.
[[nodiscard]] inline CLI::Validator whole(std::uint64_t low, std::uint64_t high = UINT64_MAX) {
  bool const bounded = high != UINT64_MAX;
  std::string const range = bounded ? "from " + std::to_string(low) + " to " + std::to_string(high)
                                    : std::to_string(low) + " or greater";
  return inside::expecting(
      "a whole number " + range,
      bounded ? std::to_string(low) + " to " + std::to_string(high) : ">= " + std::to_string(low),
      [low, high](std::string& text) {
        auto const value = read_number<std::uint64_t>(text);
        if (!value || *value < low || *value > high) return false;
        text = std::to_string(*value);
        return true;
      });
}

/// For an option that is a number greater than zero. Below 1e300, so that sums of them do not overflow.
[[nodiscard]] inline CLI::Validator positive_and_finite() {
  return inside::real("a finite number greater than zero", "> 0",
                      [](double value) { return value > 0.0 && value < 1e300; });
}
[[nodiscard]] inline CLI::Validator non_negative_and_finite() {
  return inside::real("a finite number, zero or greater", ">= 0",
                      [](double value) { return value >= 0.0 && value < 1e300; });
}
[[nodiscard]] inline CLI::Validator finite() {
  return inside::real("a finite number", "", [](double value) { return std::fabs(value) < 1e300; });
}
[[nodiscard]] inline CLI::Validator between(double low, double high) {
  std::string const range = written(low) + " to " + written(high);
  return inside::real("a number from " + range, range,
                      [low, high](double value) { return value >= low && value <= high; });
}

/// For an option that is one of a few words. Its kind names them, as {one,two}: help and completion read it there.
[[nodiscard]] inline CLI::Validator one_of(std::vector<std::string> const& words) {
  std::string all;
  std::string listed;
  for (std::size_t i = 0; i < words.size(); ++i) {
    all += (i == 0 ? "" : ",") + words[i];
    listed += (i == 0 ? "" : i + 1 == words.size() ? " or " : ", ") + words[i];
  }
  return CLI::Validator(
      [words, listed](std::string& text) -> std::string {
        std::string meant;
        for (auto const& word : words) {
          if (text == word) return "";
          if (prefer::text::misspells(text, word))
            meant = "; did you mean " + in_quotes(word) + "?";
        }
        return "found " + in_quotes(text) + "; expected " + listed + meant;
      },
      "{" + all + "}");
}

/// For an option that is a text, which may be anything but nothing.
[[nodiscard]] inline CLI::Validator not_empty(std::string const& expected) {
  return inside::expecting(expected, "", [](std::string const& text) { return !text.empty(); });
}
/// For an option that names a file or a folder.
[[nodiscard]] inline CLI::Validator path() { return not_empty("the name of a file or folder"); }

/// The values of a list, each once, in the order in which they first stand; who gave one twice is told.
template <class T>
[[nodiscard]] std::vector<T> without_repeats(std::string const& argument,
                                             std::vector<T> const& values) {
  std::vector<T> out;
  std::vector<T> told;
  for (T const& value : values) {
    if (std::find(out.begin(), out.end(), value) == out.end()) {
      out.push_back(value);
    } else if (std::find(told.begin(), told.end(), value) == told.end()) {
      told.push_back(value);
      std::string text;
      if constexpr (std::is_same_v<T, std::string>) {
        text = value;
      } else {
        text = written(static_cast<double>(value));
      }
      warn(argument + " has " + text + " more than once; it is taken once");
    }
  }
  return out;
}

namespace inside {

/// The flag that was probably meant, as the end of a sentence; empty if none is near.
inline std::string nearest_flag(CLI::App const& app, std::string const& given) {
  std::string const bare = given.substr(0, given.find('='));
  std::string best;
  std::size_t distance = 4;
  for (auto const* option : app.get_options()) {
    for (auto const& known : option->get_lnames()) {
      std::string const flag = "--" + known;
      std::string const stem = bare.size() > 2 ? bare.substr(2) : "";
      bool const begins = stem.size() >= 3 && known.rfind(stem, 0) == 0;
      std::size_t const apart = begins ? 1 : prefer::text::edit_distance(bare, flag, 3);
      if (apart < distance && apart <= std::max<std::size_t>(1, known.size() / 2)) {
        distance = apart;
        best = flag;
      }
    }
  }
  return best.empty() ? "" : "; did you mean " + best + "?";
}

/// What is wrong with the arguments, in our words instead of the parser's.
inline std::string reason_for(CLI::App const& app, CLI::ParseError const& error) {
  if (dynamic_cast<CLI::ExtrasError const*>(&error) != nullptr) {
    auto const rest = app.remaining();
    std::string const first = rest.empty() ? "" : rest.front();
    if (first.size() > 1 && first.front() == '-') {
      return "there is no flag " + first.substr(0, first.find('=')) + nearest_flag(app, first);
    }
    return "found " + in_quotes(first) + " where no more arguments are expected";
  }
  if (dynamic_cast<CLI::ArgumentMismatch const*>(&error) != nullptr) {
    std::string const what = error.what();
    for (auto const* option : app.get_options()) {
      std::string const flag = option->get_name();
      if (what.rfind(flag, 0) != 0 || what.find_first_of(": ", flag.size()) != flag.size())
        continue;
      if (option->get_expected_max() == 0) return flag + ": found a value; expected none";
      auto const given = option->results().size();
      auto const wanted = static_cast<std::size_t>(std::max(option->get_items_expected_min(), 1));
      std::string const found = given == 0
                                    ? "nothing behind it"
                                    : std::to_string(given) + (given == 1 ? " value" : " values");
      return flag + ": found " + found + "; expected " +
             (wanted > 1  ? std::to_string(wanted) + " values"
              : given > 1 ? "one, once"
                          : "a value");
    }
  }
  if (dynamic_cast<CLI::FileError const*>(&error) != nullptr) {
    return "--config: " + app.get_config_ptr()->as<std::string>() + ": cannot read this file";
  }
  if (dynamic_cast<CLI::ExcludesError const*>(&error) != nullptr) {
    std::string what = error.what();
    std::string const verb = " excludes ";
    std::size_t const at = what.find(verb);
    if (at != std::string::npos) what.replace(at, verb.size(), " does not go with ");
    return what;
  }
  return error.what();
}

/// The same with where to read on.
inline std::string explained(CLI::App const& app, CLI::ParseError const& error) {
  std::string const reason = reason_for(app, error);
  return reason + (reason.back() == '?' ? " --help shows examples" : "; --help shows examples");
}

}  // namespace inside

inline void add_threads(CLI::App& app, unsigned& threads) {
  app.add_option("--threads", threads, "Threads; results do not depend on it")
      ->check(whole(1, 1024))
      ->capture_default_str();
}

}  // namespace program
