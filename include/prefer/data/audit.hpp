// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include <prefer/data/audit_report.hpp>
#include <prefer/data/preference_cycles.hpp>
#include <prefer/expects.hpp>
#include <prefer/file/fingerprint.hpp>

namespace prefer::inline v0_1::data {

/// One comparison, as an audit sees it: texts tell prompts and completions apart (of a conversation, any text that is
/// the same for equal conversations), lengths are in the unit of the audit.
struct judgement {
  std::string_view prompt;
  std::string_view chosen;
  std::string_view rejected;
  std::size_t prompt_length = 0;
  std::size_t chosen_length = 0;
  std::size_t rejected_length = 0;
  std::string_view annotator = {};  ///< empty where nothing says who judged
};

/// One completion and whether it is a desirable one, as an audit sees it.
struct label {
  std::string_view prompt;
  std::string_view completion;
  bool desirable = false;
  std::size_t prompt_length = 0;
  std::size_t completion_length = 0;
  std::string_view annotator = {};
};

/// Says what a set of preferences will do to training, before training: takes comparisons one by one, keeps a fixed
/// number of bytes of each (no text), and reports.
///
///   audit all("characters");
///   auto const train = all.add_split("train");
///   for (auto const& row : rows) all.add(train, {row.prompt, row.chosen, row.rejected, ...});
///   audit_report const report = all.report();
///
/// Label noise. If every judgement is the wrong way round with probability e, independently, two judgements of one pair
/// disagree with probability d = 2e(1 - e), so that e = (1 - sqrt(1 - 2d)) / 2, with d pooled over all pairs of
/// judgements of one pair of completions. Where annotators are known, each counts once per pair and order; where
/// they are not, a copied row looks like an agreement, and the estimate is too low by as much.
///
/// Texts are known by 64-bit fingerprints: among a million texts two are taken for one with probability 3e-8.
///
/// Errors  precondition_error for a split that was not added, or two of one name
class audit {
 public:
  explicit audit(std::string unit) : unit_(std::move(unit)) {}

  /// The number by which rows of this split are added.
  std::size_t add_split(std::string name) {
    for (split_rows const& split : splits_) {
      expects(split.name != name, "data::audit: two splits have one name");
    }
    splits_.push_back({std::move(name), {}, 0});
    return splits_.size() - 1;
  }

  void add(std::size_t split, judgement const& row) {
    split_of(split).rows.push_back({.prompt = text_id(row.prompt),
                                    .chosen = text_id(row.chosen),
                                    .rejected = text_id(row.rejected),
                                    .annotator = number_of(row.annotator),
                                    .prompt_length = short_length(row.prompt_length),
                                    .chosen_length = short_length(row.chosen_length),
                                    .rejected_length = short_length(row.rejected_length)});
  }
  void add(std::size_t split, label const& row) {
    std::uint64_t const completion = text_id(row.completion);
    std::uint32_t const length = short_length(row.completion_length);
    split_of(split).rows.push_back({.prompt = text_id(row.prompt),
                                    .chosen = row.desirable ? completion : unseen,
                                    .rejected = row.desirable ? unseen : completion,
                                    .annotator = number_of(row.annotator),
                                    .prompt_length = short_length(row.prompt_length),
                                    .chosen_length = row.desirable ? length : 0,
                                    .rejected_length = row.desirable ? 0 : length});
  }

  /// Rows without a winner, of which only their number matters.
  void add_ties(std::size_t split, std::size_t count) { split_of(split).ties += count; }

  [[nodiscard]] audit_report report() const;

 private:
  struct entry {
    std::uint64_t prompt;
    std::uint64_t chosen;
    std::uint64_t rejected;
    std::uint32_t annotator;  // nobody, or counted from 1
    std::uint32_t prompt_length;
    std::uint32_t chosen_length;
    std::uint32_t rejected_length;

    [[nodiscard]] bool is_label() const { return chosen == unseen || rejected == unseen; }
    [[nodiscard]] std::uint64_t lower() const { return std::min(chosen, rejected); }
    [[nodiscard]] std::uint64_t upper() const { return std::max(chosen, rejected); }
    /// What two rows have in common that judge the same completions, either way round.
    [[nodiscard]] std::tuple<std::uint64_t, std::uint64_t, std::uint64_t> pair() const {
      return {prompt, lower(), upper()};
    }
  };
  struct split_rows {
    std::string name;
    std::vector<entry> rows;
    std::size_t ties;
  };
  static constexpr std::uint32_t nobody = 0;
  static constexpr std::uint64_t unseen = 0;  // the completion that labels compare with

  split_rows& split_of(std::size_t number) {
    expects(number < splits_.size(), "data::audit::add: there is no such split");
    return splits_[number];
  }

  static std::uint64_t text_id(std::string_view text) { return fingerprint().add(text).value(); }
  static std::uint32_t short_length(std::size_t length) {
    return static_cast<std::uint32_t>(
        std::min<std::size_t>(length, std::numeric_limits<std::uint32_t>::max()));
  }
  std::uint32_t number_of(std::string_view annotator) {
    if (annotator.empty()) return nobody;
    auto const next = static_cast<std::uint32_t>(annotators_.size() + 1);
    return annotators_.try_emplace(std::string(annotator), next).first->second;
  }

  /// Rows of which those about one pair stand together, of these the ones that prefer the same, and of these one person's.
  static void sort(std::vector<entry>& rows) {
    std::sort(rows.begin(), rows.end(), [](entry const& a, entry const& b) {
      return std::tuple(a.pair(), a.chosen, a.annotator) <
             std::tuple(b.pair(), b.chosen, b.annotator);
    });
  }

  template <class Has, class Length>
  static length_summary summary_of(std::vector<entry> const& rows, Has const& has_text,
                                   Length const& length_of);
  static void count_annotators(std::vector<entry> const& rows, split_audit& found);
  static void compare_lengths(std::vector<entry> const& sorted, split_audit& found);
  static void weigh_judgements(std::vector<entry> const& sorted, split_audit& found);
  struct completion_counts {
    std::size_t different;
    std::size_t both_sides;
  };
  static completion_counts count_completions(std::vector<entry> const& sorted, bool of_one_prompt);
  /// Of two splits whose rows are sorted.
  [[nodiscard]] static split_overlap overlap_of(split_rows const& first, split_rows const& second);

  std::string unit_;
  std::vector<split_rows> splits_;
  std::unordered_map<std::string, std::uint32_t> annotators_;
};

template <class Has, class Length>
length_summary audit::summary_of(std::vector<entry> const& rows, Has const& has_text,
                                 Length const& length_of) {
  std::vector<std::uint32_t> lengths;
  lengths.reserve(rows.size());
  for (entry const& row : rows) {
    if (has_text(row)) lengths.push_back(length_of(row));
  }
  if (lengths.empty()) return {};
  std::sort(lengths.begin(), lengths.end());
  double sum = 0.0;
  for (std::uint32_t const length : lengths) sum += length;
  return {sum / static_cast<double>(lengths.size()), lengths.front(),
          lengths[(lengths.size() - 1) / 2], lengths.back()};
}

inline void audit::count_annotators(std::vector<entry> const& rows, split_audit& found) {
  std::unordered_map<std::uint32_t, std::size_t> rows_of;
  for (entry const& row : rows) ++rows_of[row.annotator];
  for (auto const& [annotator, count] : rows_of) {
    if (annotator == nobody) {
      found.rows_without_annotator = count;
    } else {
      ++found.annotators;
      found.rows_of_busiest_annotator = std::max(found.rows_of_busiest_annotator, count);
    }
  }
}

inline void audit::compare_lengths(std::vector<entry> const& sorted, split_audit& found) {
  double n = 0.0;
  double longer = 0.0;
  double squares = 0.0;
  for (entry const& row : sorted) {
    if (row.is_label()) continue;
    n += 1.0;
    double const share = row.chosen_length > row.rejected_length    ? 1.0
                         : row.chosen_length == row.rejected_length ? 0.5
                                                                    : 0.0;
    longer += share;
    squares += share * share;
  }
  if (n == 0.0) return;
  double const mean = longer / n;
  found.chosen_longer = estimate{mean, std::sqrt(std::max(0.0, squares / n - mean * mean) / n)};
}

/// Everything that goes by who is preferred to whom under one prompt.
inline void audit::weigh_judgements(std::vector<entry> const& sorted, split_audit& found) {
  double disagreements = 0.0;  // pairs of judgements that differ
  double comparisons = 0.0;    // pairs of judgements
  std::vector<std::pair<double, double>> of_pairs;
  detail::preference_cycles cycles;

  std::size_t begin = 0;
  while (begin < sorted.size()) {
    entry const& first = sorted[begin];
    std::size_t end = begin;
    std::size_t for_lower = 0;
    std::size_t independent = 0;  // judgements by different people, or by nobody knows whom
    std::size_t independent_for_lower = 0;
    for (; end < sorted.size() && sorted[end].pair() == first.pair(); ++end) {
      entry const& row = sorted[end];
      bool const prefers_lower = row.chosen == row.lower();
      bool const repeats = end > begin && row.chosen == sorted[end - 1].chosen;
      for_lower += prefers_lower;
      found.duplicates += repeats;
      if (repeats && row.annotator != nobody && row.annotator == sorted[end - 1].annotator)
        continue;
      ++independent;
      independent_for_lower += prefers_lower;
    }
    std::size_t const for_upper = end - begin - for_lower;
    found.contradictions += for_lower != 0 && for_upper != 0;
    found.outvoted += std::min(for_lower, for_upper);
    if (independent > 1) {
      auto const n = static_cast<double>(independent);
      auto const k = static_cast<double>(independent_for_lower);
      of_pairs.emplace_back(k * (n - k), n * (n - 1) / 2);
      disagreements += of_pairs.back().first;
      comparisons += of_pairs.back().second;
    }
    if (for_lower > for_upper) cycles.add(first.lower(), first.upper());
    if (for_upper > for_lower) cycles.add(first.upper(), first.lower());
    if (end == sorted.size() || sorted[end].prompt != first.prompt) {
      found.cyclic_prompts += cycles.found_and_cleared();
      ++found.prompts;
    }
    begin = end;
  }

  found.pairs_judged_again = of_pairs.size();
  if (of_pairs.empty()) return;
  double const d = disagreements / comparisons;
  if (d >= 0.5) {
    found.label_noise = estimate{0.5, std::numeric_limits<double>::quiet_NaN()};
    return;
  }
  // Judgements of one pair of completions hang together: the error of the pooled share is that of a ratio over pairs.
  double squares = 0.0;
  for (auto const& [differ, all] : of_pairs) squares += (differ - d * all) * (differ - d * all);
  double const root = std::sqrt(1.0 - 2.0 * d);
  found.label_noise = estimate{(1.0 - root) / 2.0, std::sqrt(squares) / comparisons / (2.0 * root)};
}

/// Completions, and those that are chosen in some row and rejected in another, told apart by prompt or by text alone.
inline audit::completion_counts audit::count_completions(std::vector<entry> const& sorted,
                                                         bool of_one_prompt) {
  struct side {
    std::uint64_t prompt;
    std::uint64_t completion;
    bool chosen;
    auto operator<=>(side const&) const = default;
  };
  std::vector<side> sides;
  sides.reserve(2 * sorted.size());
  for (entry const& row : sorted) {
    std::uint64_t const prompt = of_one_prompt ? row.prompt : 0;
    if (row.chosen != unseen) sides.push_back({prompt, row.chosen, true});
    if (row.rejected != unseen) sides.push_back({prompt, row.rejected, false});
  }
  std::sort(sides.begin(), sides.end());
  sides.erase(std::unique(sides.begin(), sides.end()), sides.end());
  completion_counts counts{sides.size(), 0};
  for (std::size_t i = 1; i < sides.size(); ++i) {
    counts.both_sides +=
        sides[i].prompt == sides[i - 1].prompt && sides[i].completion == sides[i - 1].completion;
  }
  counts.different -= counts.both_sides;
  return counts;
}

inline split_overlap audit::overlap_of(split_rows const& first, split_rows const& second) {
  std::vector<entry> const& known = first.rows;
  std::vector<entry> const& asked = second.rows;
  split_overlap common{first.name, second.name, 0, 0, asked.size()};
  for (std::size_t i = 0; i < asked.size(); ++i) {
    auto const pair =
        std::lower_bound(known.begin(), known.end(), asked[i].pair(),
                         [](entry const& row, auto const& wanted) { return row.pair() < wanted; });
    common.rows += pair != known.end() && pair->pair() == asked[i].pair();
    if (i != 0 && asked[i].prompt == asked[i - 1].prompt) continue;
    auto const prompt =
        std::lower_bound(known.begin(), known.end(), asked[i].prompt,
                         [](entry const& row, std::uint64_t id) { return row.prompt < id; });
    common.prompts += prompt != known.end() && prompt->prompt == asked[i].prompt;
  }
  return common;
}

inline audit_report audit::report() const {
  audit_report all{unit_, {}, {}};
  std::vector<split_rows> splits = splits_;
  for (split_rows& split : splits) {
    sort(split.rows);
    split_audit found{.name = split.name, .rows = split.rows.size()};
    found.prompt_length = summary_of(
        split.rows, [](entry const&) { return true; },
        [](entry const& row) { return row.prompt_length; });
    found.chosen_length = summary_of(
        split.rows, [](entry const& row) { return row.chosen != unseen; },
        [](entry const& row) { return row.chosen_length; });
    found.rejected_length = summary_of(
        split.rows, [](entry const& row) { return row.rejected != unseen; },
        [](entry const& row) { return row.rejected_length; });
    found.labels = static_cast<std::size_t>(std::count_if(
        split.rows.begin(), split.rows.end(), [](entry const& row) { return row.is_label(); }));
    count_annotators(split.rows, found);
    found.ties = split.ties;
    compare_lengths(split.rows, found);
    weigh_judgements(split.rows, found);
    completion_counts const of_prompts = count_completions(split.rows, true);
    found.completions = of_prompts.different;
    found.both_sides = of_prompts.both_sides;
    found.both_sides_anywhere = count_completions(split.rows, false).both_sides;
    all.splits.push_back(std::move(found));
  }
  for (std::size_t first = 0; first < splits.size(); ++first) {
    for (std::size_t second = first + 1; second < splits.size(); ++second) {
      all.overlaps.push_back(overlap_of(splits[first], splits[second]));
    }
  }
  return all;
}

}  // namespace prefer::inline v0_1::data
