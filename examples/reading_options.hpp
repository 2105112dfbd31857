// SPDX-License-Identifier: MIT
#pragma once

#include <cstdio>
#include <optional>
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

#include "program/arguments.hpp"
#include "program/voice.hpp"

// What programs that read rows let a user say about them.

namespace program {

/// What was given for --columns, --bad-rows and --max-bad, and for the flags of rows that are texts.
struct reading_options {
  std::vector<std::string> columns;
  std::string bad_rows = "stop";
  std::optional<double> most_bad;
  std::string form;
  std::string ties = "drop";
  std::string parts = "refuse";
  std::string scored = "best-worst";

  /// Completions with scores stay lists: they are read by prefer::data::scored.
  [[nodiscard]] bool as_lists() const { return scored == "list"; }
};

/// Options that were declared, for what they need or exclude.
using declared_options = std::vector<CLI::Option*>;

inline void add_columns_option(CLI::App& app, reading_options& given) {
  app.add_option("--columns", given.columns, "Fields that go by another name in the file")
      ->type_name("NAME=FIELD,...")
      ->delimiter(',')
      ->allow_extra_args(false);
}
inline void add_bad_row_options(CLI::App& app, reading_options& given) {
  app.add_option("--bad-rows", given.bad_rows,
                 "At a row that cannot be read: stop, or skip and count it")
      ->check(one_of({"stop", "skip"}))
      ->capture_default_str();
  app.add_option("--max-bad", given.most_bad,
                 "The share of rows that may be skipped, else it is an error [0.01]")
      ->type_name("SHARE")
      ->check(between(0, 1));
}

/// Whether a program has a use for lists.
enum class scored_lists { none, offered };

inline declared_options add_form_options(CLI::App& app, reading_options& given,
                                         scored_lists lists = scored_lists::none) {
  bool const with_lists = lists == scored_lists::offered;
  auto* const form =
      app.add_option("--format", given.form,
                     "The form of the rows; without it the one that their fields fit "
                     "(docs/guides/data.md)")
          ->type_name("NAME")
          ->check(not_empty("the name of a form"));
  auto* const ties =
      app.add_option("--ties", given.ties,
                     "Rows without a winner: drop, half (a pair each way, of half the weight), "
                     "keep")
          ->check(one_of({"drop", "half", "keep"}))
          ->capture_default_str();
  auto* const scored =
      app.add_option("--scored", given.scored,
                     std::string("Completions with scores: the best against the worst, all pairs "
                                 "of different scores") +
                         (with_lists ? ", or a list, the best against each of the others" : ""))
          ->check(with_lists ? one_of({"best-worst", "all-pairs", "list"})
                             : one_of({"best-worst", "all-pairs"}))
          ->capture_default_str();
  auto* const parts =
      app.add_option("--parts", given.parts,
                     "Parts of messages that are no text, such as images: refuse, or skip and "
                     "count them")
          ->check(one_of({"refuse", "skip"}))
          ->capture_default_str();
  return {form, ties, scored, parts};
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

/// What --bad-rows and --max-bad say, for rows of any kind.
template <class Reading>
void set_bad_rows(reading_options const& given, Reading& how) {
  if (given.bad_rows == "skip") how.bad = prefer::data::bad_rows::skipped;
  if (!given.most_bad) return;
  if (given.bad_rows != "skip") {
    prefer::refuse("--max-bad says how many bad rows may be skipped; expected --bad-rows skip");
  }
  how.most_bad = *given.most_bad;
}

inline prefer::data::reading reading_of(reading_options const& given) {
  namespace data = prefer::data;
  data::reading how;
  how.form = given.form;
  how.decode = decoders_here();
  set_bad_rows(given, how);
  if (given.ties == "half") how.ties = data::tied_rows::halved;
  if (given.ties == "keep") how.ties = data::tied_rows::kept;
  if (given.scored == "all-pairs") how.scored = data::scored_rows::all_pairs;
  if (given.parts == "skip") how.parts = data::other_parts::passed_over;
  for (std::string const& each : given.columns) {
    auto const equals = each.find('=');
    if (equals == 0 || equals == std::string::npos || equals + 1 == each.size()) {
      prefer::refuse("--columns " + each + ": expected NAME=FIELD, such as prompt=instruction");
    }
    for (data::renamed_column const& other : how.columns) {
      bool const as = other.as == each.substr(0, equals);
      if (!as && other.in_file != each.substr(equals + 1)) continue;
      prefer::refuse("--columns " + each + ": " + other.as + "=" + other.in_file +
                     " was given, too; expected each " + (as ? "name" : "field") + " once");
    }
    how.columns.push_back({.as = each.substr(0, equals), .in_file = each.substr(equals + 1)});
  }
  return how;
}

/// Each mapping and whatever was counted, a line each on standard error, unless --quiet.
inline void say_reading(char const* name, prefer::data::reading_report const& report) {
  if (quiet) return;
  for (std::string const& sentence : to_sentences(report)) {
    std::fprintf(stderr, "%s: %s\n", name, sentence.c_str());
  }
}

/// What a method does with the numbers that rows may have.
struct numbers_used {
  bool weight = false;
  bool beta = false;
  bool score = false;
};

/// Warns of numbers of rows that could change what is learned, and that the method has no use for.
inline void warn_of_unused(prefer::data::reading_report const& report, numbers_used used = {}) {
  auto const say = [&](prefer::data::happened const& seen, bool is_used, std::string const& what) {
    if (seen.count != 0 && !is_used) {
      warn("rows have " + what + " that is not used here: " + to_words(seen));
    }
  };
  say(report.weights, used.weight, "a weight");
  say(report.betas, used.beta, "a beta");
  say(report.scores, used.score, "a judge's score");
}

}  // namespace program
