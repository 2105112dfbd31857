// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include <prefer/data/audit_report.hpp>
#include <prefer/text/counted.hpp>

namespace prefer::inline v0_1::data {

/// A note is to be known, a warning to be decided on; where there is an error, a later number would mean nothing.
enum class severity { note, warning, error };

/// One thing that an audit found, as a sentence.
struct audit_finding {
  data::severity severity;
  std::string about;  ///< for programs: "length_bias", "duplicates", ...
  std::string split;
  std::string sentence;
};

namespace detail {

/// " is" or "s are" behind a noun without its number's ending.
inline std::string is_or_are(std::size_t number) { return number == 1 ? " is" : " are"; }

inline void find_in_lengths(split_audit const& split, std::vector<audit_finding>& found) {
  if (!split.chosen_longer) return;
  auto const [share, error] = *split.chosen_longer;
  // Without bias a share of n pairs spreads by 1 / (2 sqrt(n)) at most, which the error at a share of 1 does not say.
  double const spread = 0.5 / std::sqrt(static_cast<double>(split.rows - split.labels));
  bool const by_chance = std::abs(share - 0.5) <= 3.0 * spread;
  if (by_chance || std::abs(share - 0.5) < 0.05) return;
  std::string const side = share > 0.5 ? "longer" : "shorter";
  found.push_back({severity::warning, "length_bias", split.name,
                   "the chosen completion is the " + side + " one in " +
                       text::percent(share > 0.5 ? share : 1.0 - share) +
                       " of the pairs (standard error " + text::percent(error) +
                       "): whoever judged by length alone would be right as often; compare " +
                       "simpo, r_dpo or ln_dpo with dpo, and watch the length of what is learned"});
}

inline void find_in_judgements(split_audit const& split, std::vector<audit_finding>& found) {
  auto const add = [&](severity how, char const* about, std::string sentence) {
    found.push_back({how, about, split.name, std::move(sentence)});
  };
  if (split.duplicates != 0) {
    add(severity::warning, "duplicates",
        text::counted(split.duplicates, "row") + (split.duplicates == 1 ? " repeats" : " repeat") +
            " an earlier row and would count again in every mean");
  }
  if (split.contradictions != 0) {
    add(severity::warning, "contradictions",
        text::counted(split.contradictions, "pair") + " of completions" +
            is_or_are(split.contradictions) +
            " preferred both ways: nothing that is learned can be right about more than " +
            text::percent(split.rows - split.outvoted, split.rows) + " of the rows");
  }
  if (split.cyclic_prompts != 0) {
    add(severity::warning, "cycles",
        "under " + text::counted(split.cyclic_prompts, "prompt") +
            " the judgements run in a circle (a over b, b over c, c over a), which no reward can "
            "satisfy");
  }
  if (split.label_noise && split.label_noise->value > 0.0) {
    auto const [noise, error] = *split.label_noise;
    std::string const again =
        "of " + text::counted(split.pairs_judged_again, "pair") + " judged again, ";
    if (std::isnan(error)) {
      add(severity::note, "label_noise",
          again + "judgements disagree as often as they agree, or more often: they say nothing");
    } else {
      bool const is_sure = noise >= 0.1 && noise > 2.0 * error;
      add(is_sure ? severity::warning : severity::note, "label_noise",
          again + "judgements disagree as if " + text::percent(noise) + " (standard error " +
              text::percent(error) + ") of all were the wrong way round; robust_dpo takes that " +
              "probability as its label_smoothing");
    }
  }
  if (split.ties != 0) {
    add(severity::note, "ties",
        text::counted(split.ties, "row") + is_or_are(split.ties) +
            (split.ties == 1 ? " a tie" : " ties") + ", from which no preference is learned");
  }
  if (split.both_sides_anywhere != 0) {
    add(severity::note, "both_sides",
        text::counted(split.both_sides_anywhere, "completion") +
            is_or_are(split.both_sides_anywhere) + " chosen in one row and rejected in another (" +
            text::grouped(split.both_sides) + " of them under one prompt)");
  }
}

inline void find_in_annotators(split_audit const& split, std::vector<audit_finding>& found) {
  if (split.annotators < 2) return;
  std::size_t const known = split.rows - split.rows_without_annotator;
  double const share =
      static_cast<double>(split.rows_of_busiest_annotator) / static_cast<double>(known);
  double const even_share = 1.0 / static_cast<double>(split.annotators);
  if (share <= std::max(0.5, 1.5 * even_share)) return;
  found.push_back({severity::warning, "annotators", split.name,
                   "one of " + text::counted(split.annotators, "annotator") + " judged " +
                       text::percent(share) +
                       " of the rows: what is learned is mostly one person's preference"});
}

inline void find_in_overlap(split_overlap const& common, std::vector<audit_finding>& found) {
  if (common.rows != 0) {
    bool const all = common.rows == common.second_rows;
    found.push_back(
        {all ? severity::error : severity::warning, "overlap", common.second,
         (all ? "every row compares"
              : text::percent(common.rows, common.second_rows) + " of the rows compare") +
             " two completions that \"" + common.first +
             "\" compares, too: what was learned from would be judged on"});
  } else if (common.prompts != 0) {
    found.push_back({severity::note, "overlap", common.second,
                     text::counted(common.prompts, "prompt") + " of \"" + common.first + "\"" +
                         is_or_are(common.prompts) + " asked here, too, about other completions"});
  }
}

}  // namespace detail

/// What is to be known, or to be decided on, before anything is learned from such data; nothing where there is nothing.
///
/// Warnings      a length bias of at least 5 points that chance does not explain (three standard deviations), duplicates,
///               contradictions, circles, label noise of at least 10 % and two standard errors, one annotator with more than half of the
///               rows (of two: with more than 3/4), rows of a later split that an earlier one has
/// Errors        a split without rows, or of which an earlier one has every row
[[nodiscard]] inline std::vector<audit_finding> findings_of(audit_report const& report) {
  std::vector<audit_finding> found;
  for (split_audit const& split : report.splits) {
    if (split.rows == 0) {
      found.push_back({severity::error, "empty", split.name, "there is no row"});
      continue;
    }
    detail::find_in_lengths(split, found);
    detail::find_in_judgements(split, found);
    detail::find_in_annotators(split, found);
  }
  for (split_overlap const& common : report.overlaps) detail::find_in_overlap(common, found);
  return found;
}

}  // namespace prefer::inline v0_1::data
