// SPDX-License-Identifier: MIT
#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#if defined(PREFER_HAS_GZIP)
#include <prefer/data/gzip.hpp>
#endif
#if defined(PREFER_HAS_XZ)
#include <prefer/data/xz.hpp>
#endif
#include <prefer/data/reading.hpp>
#include <prefer/expects.hpp>

// What programs that read rows let a user say about them.

namespace program {

/// What was given for --columns, --bad-rows and --max-bad, and for --format and --ties where rows are texts.
struct reading_options {
  std::vector<std::string> columns;
  std::string bad_rows = "stop";
  double most_bad = 0.01;
  std::string form;
  std::string ties = "drop";
};

inline void add_columns_option(CLI::App& app, reading_options& given) {
  app.add_option("--columns", given.columns, "Fields that go by another name in the file")
      ->type_name("NAME=FIELD,...")
      ->delimiter(',')
      ->allow_extra_args(false);
}
inline void add_bad_row_options(CLI::App& app, reading_options& given) {
  app.add_option("--bad-rows", given.bad_rows,
                 "At a row that cannot be read: stop, or skip and count it")
      ->check(CLI::IsMember({"stop", "skip"}))
      ->capture_default_str();
  app.add_option("--max-bad", given.most_bad,
                 "The share of rows that may be skipped, else it is an error")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
}
inline void add_form_options(CLI::App& app, reading_options& given) {
  app.add_option(
         "--format", given.form,
         "The form of the rows; without it the one that their fields fit (docs/guides/data.md)")
      ->type_name("NAME");
  app.add_option("--ties", given.ties,
                 "Rows without a winner: drop, half (a pair each way, of half the weight), keep")
      ->check(CLI::IsMember({"drop", "half", "keep"}))
      ->capture_default_str();
}

/// What can be decompressed in this build.
inline prefer::data::decoders decoders_here() {
  prefer::data::decoders here;
#if defined(PREFER_HAS_GZIP)
  here.gzip = prefer::data::gzip_decoder;
#endif
#if defined(PREFER_HAS_XZ)
  here.xz = prefer::data::xz_decoder;
#endif
  return here;
}

inline prefer::data::reading reading_of(reading_options const& given) {
  namespace data = prefer::data;
  data::reading how;
  how.form = given.form;
  how.decode = decoders_here();
  how.most_bad = given.most_bad;
  if (given.bad_rows == "skip") how.bad = data::bad_rows::skipped;
  if (given.ties == "half") how.ties = data::tied_rows::halved;
  if (given.ties == "keep") how.ties = data::tied_rows::kept;
  for (std::string const& each : given.columns) {
    auto const equals = each.find('=');
    if (equals == 0 || equals == std::string::npos || equals + 1 == each.size()) {
      prefer::refuse("--columns " + each + ": expected NAME=FIELD, such as prompt=instruction");
    }
    how.columns.push_back({.as = each.substr(0, equals), .in_file = each.substr(equals + 1)});
  }
  return how;
}

/// Each mapping and whatever was counted, a line each on standard error.
inline void say_reading(char const* name, prefer::data::reading_report const& report) {
  for (std::string const& sentence : to_sentences(report)) {
    std::fprintf(stderr, "%s: %s\n", name, sentence.c_str());
  }
}

/// Numbers of rows that could change what is learned, and that the program has no use for.
inline void say_not_used(char const* name, prefer::data::reading_report const& report) {
  auto const say = [&](prefer::data::happened const& seen, char const* what) {
    if (seen.count == 0) return;
    std::fprintf(stderr, "%s: warning: %s, which is not used here: %s\n", name, what,
                 to_words(seen).c_str());
  };
  say(report.weights, "a weight");
  say(report.betas, "a beta");
  say(report.scores, "a judge's scores");
}

}  // namespace program
