// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <istream>
#include <memory>
#include <numeric>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <prefer/data/example.hpp>
#include <prefer/data/example_reader.hpp>
#include <prefer/data/json_lines.hpp>
#include <prefer/data/reading.hpp>
#include <prefer/data/rows.hpp>

namespace prefer::inline v0_1::data {

namespace detail {

/// What every kind of example has of its row.
template <class Example>
Example begun(read_row row) {
  Example out;
  out.prompt = *std::move(row.content.prompt);
  out.weight = row.weight;
  out.beta = row.beta;
  out.line = row.line;
  out.context = std::move(row.context);
  out.further = std::move(row.further);
  return out;
}

/// Numbers of completions, the best first; equal scores in the order of the file.
inline std::vector<std::size_t> best_first(std::vector<double> const& score) {
  std::vector<std::size_t> order(score.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return score[a] > score[b]; });
  return order;
}

/// The pairs of a row: of most rows one, of a tie none or two, of scored completions any number.
class pairs_of_row {
 public:
  pairs_of_row(read_row& row, reading const& how, reading_report& report, json_row const& at,
               std::vector<preference_pair>& out)
      : row_(row), how_(how), report_(report), at_(at), out_(out) {
    auto& completions = row.content.completions;
    switch (row.content.is) {
      case row_content::verdict::scored:
        scored();
        return;
      case row_content::verdict::tie:
        report.tied.add(row.line);
        if (how.ties == tied_rows::dropped) return;
        if (how.ties == tied_rows::halved) {
          row.weight = row.weight.value_or(1.0) / 2;
          add(completions[1], completions[0]);
        }
        [[fallthrough]];
      default:
        turns chosen = std::move(completions[0]);
        turns rejected = std::move(completions[1]);
        auto const scores = std::pair(row.score_chosen, row.score_rejected);
        auto pair = begun<preference_pair>(std::move(row));
        pair.chosen = std::move(chosen);
        pair.rejected = std::move(rejected);
        pair.score_chosen = scores.first;
        pair.score_rejected = scores.second;
        out.push_back(std::move(pair));
    }
  }

 private:
  void add(turns const& chosen, turns const& rejected) {
    auto pair = begun<preference_pair>(row_);
    pair.chosen = chosen;
    pair.rejected = rejected;
    out_.push_back(std::move(pair));
  }
  void add(std::size_t better, std::size_t worse) {
    auto const& content = row_.content;
    if (content.completions[better] == content.completions[worse]) {
      at_.at.refuse("two equal completions have different scores; expected a preference");
    }
    add(content.completions[better], content.completions[worse]);
    out_.back().score_chosen = content.score[better];
    out_.back().score_rejected = content.score[worse];
  }
  void scored() {
    auto const& score = row_.content.score;
    auto const order = best_first(score);
    if (order.size() < 2 || score[order.front()] == score[order.back()]) {
      return report_.tied.add(row_.line);
    }
    if (how_.scored == scored_rows::best_worst) return add(order.front(), order.back());
    for (std::size_t i = 0; i < order.size(); ++i) {
      for (std::size_t j = i + 1; j < order.size(); ++j) {
        if (score[order[i]] == score[order[j]]) {
          report_.level.add(row_.line);
        } else {
          add(order[i], order[j]);
        }
      }
    }
  }

  read_row& row_;
  reading const& how_;
  reading_report& report_;
  json_row const& at_;
  std::vector<preference_pair>& out_;
};

inline void examples_of(read_row& row, example_reader& reader, std::vector<preference_pair>& out) {
  pairs_of_row(row, reader.how(), reader.of_row(), reader.row(), out);
}
inline void examples_of(read_row& row, example_reader&, std::vector<unpaired_example>& out) {
  turns completion = std::move(row.content.completions[0]);
  bool const label = row.content.label;
  auto example = begun<unpaired_example>(std::move(row));
  example.completion = std::move(completion);
  example.label = label;
  out.push_back(std::move(example));
}
inline void examples_of(read_row& row, example_reader& reader,
                        std::vector<scored_completions>& out) {
  if (row.content.is != row_content::verdict::scored) {
    reader.row().at.refuse("the row is a pair; expected completions with scores");
  }
  auto list = begun<scored_completions>(row);
  for (std::size_t const i : best_first(row.content.score)) {
    list.completions.push_back(std::move(row.content.completions[i]));
    list.score.push_back(row.content.score[i]);
  }
  out.push_back(std::move(list));
}

}  // namespace detail

/// Reads examples of one kind, of rows of any form; `pairs`, `unpaired` and `scored` make ranges of it.
template <class Example>
class reader_of {
 public:
  using row = Example;
  /// Without a `report`, which outlives the reader, what happens to rows is counted for nobody.
  reader_of(json_row_reader rows, reading how, reading_report* report)
      : own_(report == nullptr ? std::make_unique<reading_report>() : nullptr),
        rows_(std::move(rows), std::move(how), std::is_same_v<Example, unpaired_example>,
              report == nullptr ? *own_ : *report) {}

  bool next(Example& example) {
    while (given_ == made_.size()) {
      given_ = 0;
      bool const more = rows_.next([&](read_row read) {
        made_.clear();
        detail::examples_of(read, rows_, made_);
      });
      if (more) continue;
      made_.clear();
      return false;
    }
    example = std::move(made_[given_++]);
    ++rows_.report().examples;
    return true;
  }

 private:
  std::unique_ptr<reading_report> own_;
  example_reader rows_;
  std::vector<Example> made_;  // of one row: none of a tie, and many of scored completions
  std::size_t given_ = 0;
};
using pair_reader = reader_of<preference_pair>;
using unpaired_reader = reader_of<unpaired_example>;
using scored_reader = reader_of<scored_completions>;

/// The preference pairs of a file, one at a time: JSON Lines or one JSON array, of any form in `all_forms`. The file is
/// opened here and read on demand.
///
///   prefer::data::reading_report report;
///   auto const data = encode(prefer::data::pairs("pairs.jsonl", {}, &report), tokenizer, sequences);
///   for (auto const& sentence : to_sentences(report)) std::puts(sentence.c_str());
///
/// A row is kept or refused, never thinned: what a chat template may look at is in its messages and in `context`, and
/// the row's other fields are in `further`. Every form may have weight (>= 0), beta (> 0), a judge's scores, and tools.
/// `report`, which outlives the range, counts what happened to rows on the way.
///
/// Errors  backend_error with file and line, when the row is reached: a field is missing, misspelt or of the wrong type;
///         no form or several fit; completions are equal, empty or of different forms; the prompt is missing, or repeated
///         in a way that proves nothing. With bad_rows::skipped at the end, if too many are
[[nodiscard]] inline rows<pair_reader> pairs(std::string path, reading how = {},
                                             reading_report* report = nullptr) {
  auto from = detail::json_file("data::pairs", std::move(path), how.limits, how.decode);
  return rows(pair_reader(std::move(from), std::move(how), report));
}
/// The same from a text, of which a copy is kept; `name` stands for the path in errors.
[[nodiscard]] inline rows<pair_reader> pairs_in(std::string_view text, std::string name = "text",
                                                reading how = {},
                                                reading_report* report = nullptr) {
  auto from = detail::json_text("data::pairs", text, std::move(name), how.limits, how.decode);
  return rows(pair_reader(std::move(from), std::move(how), report));
}
/// The same from a stream, which must outlive the range.
[[nodiscard]] inline rows<pair_reader> pairs_in(std::istream& stream, std::string name = "stream",
                                                reading how = {},
                                                reading_report* report = nullptr) {
  auto from = detail::json_stream("data::pairs", stream, std::move(name), how.limits, how.decode);
  return rows(pair_reader(std::move(from), std::move(how), report));
}

/// The unpaired examples of a file, one at a time: a prompt, a completion, and whether it is a good one.
[[nodiscard]] inline rows<unpaired_reader> unpaired(std::string path, reading how = {},
                                                    reading_report* report = nullptr) {
  auto from = detail::json_file("data::unpaired", std::move(path), how.limits, how.decode);
  return rows(unpaired_reader(std::move(from), std::move(how), report));
}
/// The same from a text, of which a copy is kept; `name` stands for the path in errors.
[[nodiscard]] inline rows<unpaired_reader> unpaired_in(std::string_view text,
                                                       std::string name = "text", reading how = {},
                                                       reading_report* report = nullptr) {
  auto from = detail::json_text("data::unpaired", text, std::move(name), how.limits, how.decode);
  return rows(unpaired_reader(std::move(from), std::move(how), report));
}
/// The same from a stream, which must outlive the range.
[[nodiscard]] inline rows<unpaired_reader> unpaired_in(std::istream& stream,
                                                       std::string name = "stream",
                                                       reading how = {},
                                                       reading_report* report = nullptr) {
  auto from =
      detail::json_stream("data::unpaired", stream, std::move(name), how.limits, how.decode);
  return rows(unpaired_reader(std::move(from), std::move(how), report));
}

/// The lists of a file whose completions have scores (UltraFeedback, Nectar), one at a time.
[[nodiscard]] inline rows<scored_reader> scored(std::string path, reading how = {},
                                                reading_report* report = nullptr) {
  auto from = detail::json_file("data::scored", std::move(path), how.limits, how.decode);
  return rows(scored_reader(std::move(from), std::move(how), report));
}
/// The same from a text, of which a copy is kept; `name` stands for the path in errors.
[[nodiscard]] inline rows<scored_reader> scored_in(std::string_view text, std::string name = "text",
                                                   reading how = {},
                                                   reading_report* report = nullptr) {
  auto from = detail::json_text("data::scored", text, std::move(name), how.limits, how.decode);
  return rows(scored_reader(std::move(from), std::move(how), report));
}

/// All pairs of a file. Errors as for `pairs`: the first bad row ends it.
[[nodiscard]] inline std::vector<preference_pair> read_pairs(std::string path, reading how = {},
                                                             reading_report* report = nullptr) {
  std::vector<preference_pair> all;
  for (preference_pair& pair : pairs(std::move(path), std::move(how), report))
    all.push_back(std::move(pair));
  return all;
}
/// All unpaired examples of a file.
[[nodiscard]] inline std::vector<unpaired_example> read_unpaired(std::string path, reading how = {},
                                                                 reading_report* report = nullptr) {
  std::vector<unpaired_example> all;
  for (unpaired_example& example : unpaired(std::move(path), std::move(how), report))
    all.push_back(std::move(example));
  return all;
}

}  // namespace prefer::inline v0_1::data
