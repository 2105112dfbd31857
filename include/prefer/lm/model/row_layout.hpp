// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/batch/token_sequences.hpp>
#include <prefer/expects.hpp>
#include <prefer/lm/layers/token_segment.hpp>
#include <prefer/model/choice_ids.hpp>

namespace prefer::inline v0_1::lm {

/// What a language model can be asked about: how many tokens it knows, and how many positions.
struct text_limits {
  std::size_t vocabulary = 0;
  std::size_t context = 0;
};

/// What rows are scored for: every token of a completion, from the row before it; every completion, from the row of its last
/// token; or every step, which is a token's or the state after the end, from both.
enum class row_scoring : std::uint8_t { tokens, completions, steps };

/// What a batch is asked for. Of steps completion i has those in [step_offset[i], step_offset[i + 1]), which are as many as it
/// has tokens, or one more, see ValueModel.
struct row_question {
  row_scoring scoring = row_scoring::tokens;
  std::span<std::size_t const> step_offset = {};  ///< [completions + 1]
};

/// Rows [begin, end) of a batch.
struct row_range {
  std::size_t begin = 0;
  std::size_t end = 0;
};

/// The rows that a batch of prompts and completions is computed as: one for each token, and what completions of one
/// group begin with alike is one row.
///
///   x = "a b", chosen = "c d e", rejected = "c f"  ->  rows  a b c | d      (the second segment's parent is the first)
///                                                      scored: c from b; d and f from c; e from d
///
/// A group is a tree of segments, each behind its parent: the prompt with what all of its completions begin with, then
/// what they have each, or some of them, alone. A row is followed by nothing when the last token of a completion is
/// reached, so that token has no row. Groups share nothing: what is computed of one does not depend on the others, and
/// its rows, segments and scored rows lie together, in the batch's order.
///
/// Scored tokens are the tokens of all completions end to end, in the batch's order. Each is scored from a row, and one
/// row may score several: the scored rows are those, each once, in ascending order.
///
/// Where completions are scored, the last token of each has a row too, and is the one scored token of its completion:
///
///   rows  a b c | d e | f      scored: e and f, each from its own row
///
/// Where steps are, the rows before all tokens are scored as well; a completion without a state after its end has no row for its
/// last token:
///
///   rows  a b c | d e | f      scored: b, c, d, e and b, c, f
///
/// Errors  precondition_error naming the row of the data for a token that the vocabulary does not have, for a prompt and
///         completion that need more positions than there are, and for steps that are no completion's; those of
///         expects_choices
class row_layout {
 public:
  static constexpr std::size_t none = std::numeric_limits<std::size_t>::max();

  /// Lays out groups [first, first + count) of the batch; `where` is the caller's name.
  void lay_out(choice_batch const& batch, token_sequences const& texts, text_limits const& limits,
               std::size_t first, std::size_t count, char const* where,
               row_question const& asked = {}) {
    asked_ = asked;
    token_.clear();
    position_.clear();
    segments_.clear();
    scored_rows_.clear();
    scored_from_.clear();
    target_.clear();
    for (auto* each : {&group_rows_, &group_scored_rows_, &group_tokens_, &token_offset_}) {
      each->assign(1, 0);
    }
    for (std::size_t g = first; g != first + count; ++g) {
      expects_group(batch, texts, limits, g, where);
      add_group(batch, texts, g);
    }
    asked_.step_offset = {};  // the caller's
  }

  /// What is left where some groups are not computed any further; `keep` has one number for each group, 0 for those.
  [[nodiscard]] row_layout only(std::span<unsigned char const> keep) const {
    row_layout out;
    std::size_t completion = 0;
    std::size_t segment = 0;
    for (std::size_t g = 0; g != groups(); ++g) {
      std::size_t const first_completion = completion;
      std::size_t const first_segment = segment;
      while (completion != completions() && token_offset_[completion] < group_tokens_[g + 1]) {
        ++completion;
      }
      while (segment != segments_.size() && segments_[segment].first_row < group_rows_[g + 1]) {
        ++segment;
      }
      if (keep[g] == 0) continue;
      std::size_t const row = out.rows();
      std::size_t const scored = out.scored_rows_.size();
      std::size_t const token = out.tokens();
      auto const shift = static_cast<std::uint32_t>(first_segment - out.segments_.size());
      for (std::size_t s = first_segment; s != segment; ++s) {
        token_segment moved = segments_[s];
        moved.first_row += row - group_rows_[g];
        if (moved.parent != token_segment::no_parent) moved.parent -= shift;
        out.segments_.push_back(moved);
      }
      for (std::size_t r = group_rows_[g]; r != group_rows_[g + 1]; ++r) {
        out.token_.push_back(token_[r]);
        out.position_.push_back(position_[r]);
      }
      for (std::size_t k = group_scored_rows_[g]; k != group_scored_rows_[g + 1]; ++k) {
        out.scored_rows_.push_back(scored_rows_[k] - group_rows_[g] + row);
      }
      for (std::size_t t = group_tokens_[g]; t != group_tokens_[g + 1]; ++t) {
        out.scored_from_.push_back(
            static_cast<std::uint32_t>(scored_from_[t] - group_scored_rows_[g] + scored));
        out.target_.push_back(target_[t]);
      }
      for (std::size_t i = first_completion; i != completion; ++i) {
        out.token_offset_.push_back(token_offset_[i + 1] - group_tokens_[g] + token);
      }
      out.group_rows_.push_back(out.rows());
      out.group_scored_rows_.push_back(out.scored_rows_.size());
      out.group_tokens_.push_back(out.tokens());
    }
    return out;
  }
  /// The ranges of what groups with such a number have, of group_rows or group_scored_rows.
  [[nodiscard]] static std::vector<row_range> ranges(std::span<std::size_t const> of_groups,
                                                     std::span<unsigned char const> keep) {
    std::vector<row_range> out;
    for (std::size_t g = 0; g != keep.size(); ++g) {
      if (keep[g] != 0) out.push_back({of_groups[g], of_groups[g + 1]});
    }
    return out;
  }

  [[nodiscard]] std::size_t rows() const { return token_.size(); }
  [[nodiscard]] std::size_t groups() const { return group_rows_.size() - 1; }
  [[nodiscard]] std::size_t completions() const { return token_offset_.size() - 1; }
  [[nodiscard]] std::size_t tokens() const { return target_.size(); }

  [[nodiscard]] std::span<std::uint32_t const> token() const { return token_; }        ///< [rows]
  [[nodiscard]] std::span<std::uint32_t const> position() const { return position_; }  ///< [rows]
  [[nodiscard]] std::span<token_segment const> segments() const { return segments_; }

  [[nodiscard]] std::span<std::size_t const> scored_rows() const { return scored_rows_; }
  /// Of each scored token: which of scored_rows() it is scored from, and the token; of others the token of that row.
  [[nodiscard]] std::span<std::uint32_t const> scored_from() const { return scored_from_; }
  [[nodiscard]] std::span<std::uint32_t const> target() const { return target_; }

  /// Where each group's rows, scored rows and scored tokens begin, and the end [groups + 1].
  [[nodiscard]] std::span<std::size_t const> group_rows() const { return group_rows_; }
  [[nodiscard]] std::span<std::size_t const> group_scored_rows() const {
    return group_scored_rows_;
  }
  [[nodiscard]] std::span<std::size_t const> group_tokens() const { return group_tokens_; }
  /// Where each completion's scored tokens begin, and the end [completions + 1].
  [[nodiscard]] std::span<std::size_t const> token_offset() const { return token_offset_; }

 private:
  // What is said of a group while its tree grows: a prompt and a completion, without its last token where that has no row.
  struct sequence {
    std::span<std::uint32_t const> prompt;
    std::span<std::uint32_t const> completion;
    std::size_t unread;

    [[nodiscard]] std::size_t size() const { return prompt.size() + completion.size() - unread; }
    [[nodiscard]] std::uint32_t operator[](std::size_t at) const {
      return at < prompt.size() ? prompt[at] : completion[at - prompt.size()];
    }
  };
  // Tokens [begin, end) of a sequence, and what comes next: a child and its siblings, by number.
  struct node {
    std::size_t sequence = 0;
    std::size_t begin = 0;
    std::size_t end = 0;
    std::size_t child = none;
    std::size_t sibling = none;
    std::size_t first_row = 0;
  };

  // Tokens at the end of completion i that have no row.
  [[nodiscard]] std::size_t unread(std::size_t i, std::size_t tokens) const {
    if (asked_.scoring != row_scoring::steps) return asked_.scoring == row_scoring::tokens ? 1 : 0;
    return tokens + 1 - (asked_.step_offset[i + 1] - asked_.step_offset[i]);
  }

  void expects_group(choice_batch const& batch, token_sequences const& texts,
                     text_limits const& limits, std::size_t g, char const* where) const {
    auto const refuse_row = [&](std::size_t i, std::string const& what) {
      refuse(std::string(where) + ": row " + std::to_string(batch.row.empty() ? g : batch.row[g]) +
             " (prompt " + std::to_string(batch.prompt[g]) + ", completion " +
             std::to_string(batch.completion[i]) + ") " + what);
    };
    auto const prompt = texts.prompts.tokens(batch.prompt[g]);
    for (std::size_t i = batch.offset[g]; i != batch.offset[g + 1]; ++i) {
      auto const completion = texts.completions.tokens(batch.completion[i]);
      std::size_t const tokens = completion.size();
      if (asked_.scoring == row_scoring::steps) {
        std::size_t const steps = asked_.step_offset[i + 1] - asked_.step_offset[i];
        if (steps != tokens && steps != tokens + 1) {
          refuse_row(i, "has " + std::to_string(tokens) + " tokens and " + std::to_string(steps) +
                            " steps; expected as many, or one more");
        }
      }
      std::size_t const positions = prompt.size() + tokens - unread(i, tokens);
      if (positions > limits.context) {
        refuse_row(i, "takes " + std::to_string(positions) + " positions, the model's context is " +
                          std::to_string(limits.context));
      }
      for (auto const part : {prompt, completion}) {
        for (std::uint32_t const token : part) {
          if (token < limits.vocabulary) continue;
          refuse_row(i, "has token " + std::to_string(token) + ", the model's vocabulary is " +
                            std::to_string(limits.vocabulary));
        }
      }
    }
  }

  void add_group(choice_batch const& batch, token_sequences const& texts, std::size_t g) {
    sequences_.clear();
    nodes_.clear();
    auto const prompt = texts.prompts.tokens(batch.prompt[g]);
    for (std::size_t i = batch.offset[g]; i != batch.offset[g + 1]; ++i) {
      auto const completion = texts.completions.tokens(batch.completion[i]);
      sequences_.push_back({prompt, completion, unread(i, completion.size())});
      grow(sequences_.size() - 1);
    }
    if (!nodes_.empty()) add_segments(0, token_segment::no_parent);
    std::size_t const first_row = group_rows_.back();
    scored_by_.assign(rows() - first_row, none);
    for (sequence const& each : sequences_) score(each, first_row);
    for (std::size_t r = 0; r != scored_by_.size(); ++r) {
      if (scored_by_[r] == none) continue;
      scored_by_[r] = scored_rows_.size();
      scored_rows_.push_back(first_row + r);
    }
    for (std::size_t t = group_tokens_.back(); t != scored_from_.size(); ++t) {
      scored_from_[t] = static_cast<std::uint32_t>(scored_by_[scored_from_[t]]);
    }
    group_rows_.push_back(rows());
    group_scored_rows_.push_back(scored_rows_.size());
    group_tokens_.push_back(target_.size());
  }

  // Adds a sequence to the group's tree.
  void grow(std::size_t s) {
    sequence const& added = sequences_[s];
    if (nodes_.empty()) {
      nodes_.push_back({.sequence = s, .begin = 0, .end = added.size()});
      return;
    }
    std::size_t at = 0;
    for (std::size_t p = added.prompt.size(); at != none;) {
      node const& here = nodes_[at];
      while (p != here.end && p != added.size() && sequences_[here.sequence][p] == added[p]) ++p;
      if (p == added.size()) return;
      if (p != here.end) split(at, p);
      std::size_t const next = child_for(at, added[p]);
      if (next == none) {
        nodes_.push_back({.sequence = s, .begin = p, .end = added.size()});
        append_child(at, nodes_.size() - 1);
      }
      at = next;
    }
  }
  void split(std::size_t at, std::size_t p) {
    node lower = nodes_[at];
    lower.begin = p;
    lower.sibling = none;
    nodes_.push_back(lower);
    nodes_[at].end = p;
    nodes_[at].child = nodes_.size() - 1;
  }
  [[nodiscard]] std::size_t child_for(std::size_t at, std::uint32_t token) const {
    std::size_t child = nodes_[at].child;
    while (child != none && sequences_[nodes_[child].sequence][nodes_[child].begin] != token) {
      child = nodes_[child].sibling;
    }
    return child;
  }
  void append_child(std::size_t parent, std::size_t child) {
    std::size_t* last = &nodes_[parent].child;
    while (*last != none) last = &nodes_[*last].sibling;
    *last = child;
  }

  // A node's rows, then those of its children; depth is at most the number of completions.
  void add_segments(std::size_t at, std::uint32_t parent) {
    auto const segment = static_cast<std::uint32_t>(segments_.size());
    node& here = nodes_[at];
    here.first_row = rows();
    segments_.push_back({.first_row = rows(),
                         .rows = here.end - here.begin,
                         .first_position = here.begin,
                         .parent = parent});
    for (std::size_t p = here.begin; p != here.end; ++p) {
      token_.push_back(sequences_[here.sequence][p]);
      position_.push_back(static_cast<std::uint32_t>(p));
    }
    for (std::size_t child = here.child; child != none; child = nodes_[child].sibling) {
      add_segments(child, segment);
    }
  }

  // The scored tokens of a completion, each with the row of its group that it is scored from.
  void score(sequence const& of, std::size_t first_row) {
    std::size_t at = 0;
    for (std::size_t p = of.prompt.size() - 1; p != of.size(); ++p) {
      if (p == nodes_[at].end) at = child_for(at, of[p]);
      if (asked_.scoring == row_scoring::completions && p + 1 != of.size()) continue;
      std::size_t const row = nodes_[at].first_row + (p - nodes_[at].begin) - first_row;
      scored_by_[row] = 0;
      scored_from_.push_back(static_cast<std::uint32_t>(row));
      // Who is asked for no token's probability is told which token the row is of.
      target_.push_back(
          asked_.scoring == row_scoring::tokens ? of.completion[p + 1 - of.prompt.size()] : of[p]);
    }
    token_offset_.push_back(target_.size());
  }

  row_question asked_;
  std::vector<std::uint32_t> token_;
  std::vector<std::uint32_t> position_;
  std::vector<token_segment> segments_;
  std::vector<std::size_t> scored_rows_;
  std::vector<std::uint32_t> scored_from_;
  std::vector<std::uint32_t> target_;
  std::vector<std::size_t> group_rows_ = {0};
  std::vector<std::size_t> group_scored_rows_ = {0};
  std::vector<std::size_t> group_tokens_ = {0};
  std::vector<std::size_t> token_offset_ = {0};

  // Of the group that is being laid out.
  std::vector<sequence> sequences_;
  std::vector<node> nodes_;
  std::vector<std::size_t> scored_by_;  // of each row: its place among the scored rows
};

/// How many groups from `first` on have at most so many tokens together, their prompts once each; at least one.
[[nodiscard]] inline std::size_t groups_within(choice_batch const& batch,
                                               token_sequences const& texts, std::size_t first,
                                               std::size_t most) {
  std::size_t tokens = 0;
  std::size_t last = first;
  while (last != batch.size()) {
    tokens += texts.prompts.length(batch.prompt[last]);
    for (std::size_t i = batch.offset[last]; i != batch.offset[last + 1]; ++i) {
      tokens += texts.completions.length(batch.completion[i]);
    }
    if (tokens > most && last != first) break;
    ++last;
  }
  return last - first;
}

}  // namespace prefer::inline v0_1::lm
