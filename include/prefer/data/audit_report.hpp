// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include <prefer/dialect.hpp>

namespace prefer::inline v0_1::data {

/// A number that was estimated, and the standard deviation of its estimator.
struct estimate {
  double value = 0.0;
  double standard_error = 0.0;
};

/// How long texts are, in the unit of the audit; zeros without texts.
struct length_summary {
  double mean = 0.0;
  std::size_t least = 0;
  std::size_t median = 0;
  std::size_t most = 0;
};

/// What the comparisons and labels of one split say together. A label counts as a comparison of its completion with one
/// that every prompt has and that nobody sees: a desirable completion is preferred to it, an undesirable one is not.
struct split_audit {
  std::string name;
  std::size_t rows = 0;
  std::size_t labels = 0;  ///< among the rows
  std::size_t ties = 0;    ///< rows without a winner, which are not among the rows
  std::size_t prompts = 0;
  std::size_t completions = 0;  ///< different ones of one prompt, added up over prompts
  length_summary prompt_length = {};
  length_summary chosen_length = {};    ///< desirable completions included
  length_summary rejected_length = {};  ///< undesirable completions included
  /// The share of pairs whose chosen completion is the longer one, equal lengths counting half: 1/2 without length bias.
  std::optional<estimate> chosen_longer = {};
  std::size_t duplicates = 0;      ///< rows that repeat an earlier one: prompt, chosen and rejected
  std::size_t contradictions = 0;  ///< pairs of completions of which some row prefers each
  std::size_t outvoted = 0;  ///< rows against the majority about their pair: what nothing can learn
  /// Prompts whose majorities run in a circle (a over b, b over c, c over a), which no reward can satisfy.
  std::size_t cyclic_prompts = 0;
  std::size_t both_sides =
      0;  ///< completions that one row prefers and another rejects, of one prompt
  std::size_t both_sides_anywhere =
      0;  ///< texts that are chosen for one prompt and rejected for any
  std::size_t annotators = 0;
  std::size_t rows_of_busiest_annotator = 0;
  std::size_t rows_without_annotator = 0;
  std::size_t pairs_judged_again = 0;  ///< pairs of completions that the estimate below goes by
  /// The probability that a judgement is the wrong way round, from pairs that were judged more than once.
  std::optional<estimate> label_noise = {};

  /// Calls visit(name, value) for each of these but the name, in this order: counts, lengths, estimates.
  template <class Visit>
  void describe(Visit const& visit) const {
    visit("rows", rows);
    visit("labels", labels);
    visit("ties", ties);
    visit("prompts", prompts);
    visit("completions", completions);
    visit("prompt_length", prompt_length);
    visit("chosen_length", chosen_length);
    visit("rejected_length", rejected_length);
    visit("chosen_longer", chosen_longer);
    visit("duplicates", duplicates);
    visit("contradictions", contradictions);
    visit("outvoted", outvoted);
    visit("cyclic_prompts", cyclic_prompts);
    visit("both_sides", both_sides);
    visit("both_sides_anywhere", both_sides_anywhere);
    visit("annotators", annotators);
    visit("rows_of_busiest_annotator", rows_of_busiest_annotator);
    visit("rows_without_annotator", rows_without_annotator);
    visit("pairs_judged_again", pairs_judged_again);
    visit("label_noise", label_noise);
  }
};

/// What two splits have in common.
struct split_overlap {
  std::string first;
  std::string second;
  std::size_t prompts = 0;  ///< different prompts that both ask
  std::size_t rows =
      0;  ///< rows of the second whose two completions the first compares, either way round
  std::size_t second_rows = 0;
};

struct audit_report {
  std::string unit;
  std::vector<split_audit> splits;
  std::vector<split_overlap> overlaps;  ///< of every two splits, in the order in which they came
};

}  // namespace prefer::inline v0_1::data
