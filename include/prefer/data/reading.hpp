// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <prefer/data/bad_rows.hpp>
#include <prefer/data/first_bytes.hpp>
#include <prefer/data/happened.hpp>
#include <prefer/data/line_limits.hpp>
#include <prefer/data/place.hpp>

namespace prefer::inline v0_1::data {

/// Where the space goes that an implicit text prompt would end in.
enum class prompt_space {
  stays,            // the prompt is the longest common beginning, whatever it ends in
  joins_completion  // one space at its end goes to both completions, as tokenizers with " word"
                    // tokens like it
};

/// What the texts of a file are for.
enum class text_use {
  language,  // a model reads them: a prompt may be implicit, and is never seen twice
  names  // of people and items: the field "prompt" must be there, and no part of a name means anything
};

/// What becomes of a row whose completions are equally good.
enum class tied_rows {
  dropped,  // and counted
  halved,   // two pairs, one in each order, each of half the weight: the loss pulls both together
  kept      // one pair in the order of the file
};

/// Which pairs are made of completions with scores.
enum class scored_rows { best_worst, all_pairs };

/// What becomes of a part of a message that is no text, such as an image.
enum class other_parts { refused, passed_over };

/// A field that goes by another name: `as` is what a form calls it.
struct renamed_column {
  std::string as;
  std::string in_file;
};

/// How a preference file is read.
struct reading {
  prompt_space space = prompt_space::stays;
  text_use texts = text_use::language;
  std::string form = {};  // the name of one, see `forms`; empty: the one that a row's fields fit
  std::vector<renamed_column> columns = {};
  tied_rows ties = tied_rows::dropped;
  scored_rows scored = scored_rows::best_worst;
  other_parts parts = other_parts::refused;
  bad_rows bad = bad_rows::refused;
  double most_bad = 0.01;  // share of the rows that may be skipped, before the end is an error
  line_limits limits = {};
  decoders decode = {};
};

/// What a reader made of its rows: what has to be said, once, to whoever reads the numbers that come of them.
struct reading_report {
  std::size_t rows = 0;                         // that were met, bad ones included
  std::size_t examples = 0;                     // that were given out
  std::map<std::string, happened> forms = {};   // by their sentences
  std::map<std::string, happened> bad = {};     // by reason
  std::map<std::string, happened> unused = {};  // fields that nothing was read from
  happened implicit = {};                       // prompts that are what both completions begin with
  happened repeated = {};                       // explicit prompts that both completions repeated
  happened asked = {};    // prompts that are a string beside messages: a user message
  happened tied = {};     // rows without a winner
  happened level = {};    // pairs of completions with equal scores
  happened parts = {};    // parts of messages that were passed over
  happened weights = {};  // rows with a weight, a beta, scores
  happened betas = {};
  happened scores = {};

  [[nodiscard]] std::size_t bad_rows() const { return count_of(bad); }
  /// What was counted of rows behind these.
  void add(reading_report const& later) {
    rows += later.rows;
    examples += later.examples;
    for (auto const map : {&reading_report::forms, &reading_report::bad, &reading_report::unused}) {
      for (auto const& [name, seen] : later.*map) (this->*map)[name].add(seen);
    }
    for (auto const one :
         {&reading_report::implicit, &reading_report::repeated, &reading_report::asked,
          &reading_report::tied, &reading_report::level, &reading_report::parts,
          &reading_report::weights, &reading_report::betas, &reading_report::scores}) {
      (this->*one).add(later.*one);
    }
  }
};

/// The report in sentences, one a line: each mapping, then what was counted.
[[nodiscard]] inline std::vector<std::string> to_sentences(reading_report const& report) {
  std::vector<std::string> out;
  auto const say = [&](happened const& seen, std::string const& what) {
    if (seen.count != 0) out.push_back(what + to_words(seen));
  };
  for (auto const& [sentence, seen] : report.forms) say(seen, sentence + ": ");
  say(report.implicit, "what chosen and rejected both begin with is the prompt: ");
  say(report.repeated, "a prompt that chosen and rejected repeat is taken once: ");
  say(report.asked, "a prompt that is a string beside messages is a user message: ");
  say(report.tied, "without a winner: ");
  say(report.level, "pairs with equal scores, passed over: ");
  say(report.parts, "parts of messages that are no text, passed over: ");
  for (auto const& [reason, seen] : report.bad) say(seen, "skipped, " + reason + ": ");
  std::string unused;
  for (auto const& [name, seen] : report.unused) {
    unused += (unused.empty() ? "" : ", ") + in_quotes(name) + " in " + std::to_string(seen.count);
  }
  if (!unused.empty())
    out.push_back("fields that nothing is read from, with their rows: " + unused);
  return out;
}

}  // namespace prefer::inline v0_1::data
