// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <prefer/batch/columns.hpp>
#include <prefer/expects.hpp>
#include <prefer/on_demand.hpp>

namespace prefer::inline v0_1 {

/// A batch of prompts, each with its completions, all given by number: what policies over finite sets
/// (tabular, log_linear, matrix_factorization) score. Ragged, never padded.
///
/// Group g is prompt[g] with completions [offset[g], offset[g + 1]): one for a labelled example, chosen and
/// rejected for a pair, any number for a list. Results for it lie in the same flat order.
struct choice_batch {
  std::span<std::uint32_t const> prompt;      ///< [G]
  std::span<std::uint32_t const> completion;  ///< [N]
  std::span<std::size_t const> offset;        ///< [G + 1], from 0 to N
  std::span<std::size_t const> row = {};  ///< [G], each group's number in its data set, for caches
  bool kl_examples = false;               ///< completions of other prompts, as KTO's baseline wants
  bool drawn = false;      ///< examples of this draw alone: `row` names none of a data set
  std::uint64_t draw = 0;  ///< addresses what is drawn at random for it: equal draws, equal numbers

  [[nodiscard]] std::size_t size() const { return prompt.size(); }
  [[nodiscard]] std::size_t completions() const { return completion.size(); }
};

/// A data set of preferences between numbered completions, with what is known of each group.
///
/// Optional columns are empty or as long as stated. All groups have the same kind: pairs (two completions,
/// chosen first), labelled examples (one, with a label), or lists.
template <class = on_demand>
struct basic_choice_data {
  std::vector<std::uint32_t> prompt;      ///< [G]
  std::vector<std::uint32_t> completion;  ///< [N]
  std::vector<std::size_t> offset = {0};  ///< [G + 1]
  std::vector<float> label = {};          ///< 1 desirable, 0 not [G]
  std::vector<float> weight = {};         ///< [G]
  std::vector<float> beta = {};           ///< [G]
  std::vector<float> target_margin = {};  ///< the margin asked for, nats (pairs) [G]
  std::vector<float> chosen_from_reference =
      {};                          ///< 1 where the reference wrote chosen (pairs) [G]
  std::vector<float> length = {};  ///< tokens [N]
  std::vector<float> score = {};   ///< what the loss takes it for, of a completion [N]
  std::vector<std::uint32_t> kl_examples =
      {};  ///< another prompt's completion, see pair_with_others [G]

  /// visit(description, per, member) for every column that a batch of rows takes over as it is.
  static constexpr void describe(auto& self, auto&& visit) {
    visit(described::label, per::example, self.label);
    visit(described::weight, per::example, self.weight);
    visit(described::beta, per::example, self.beta);
    visit(described::target_margin, per::example, self.target_margin);
    visit(described::chosen_from_reference, per::example, self.chosen_from_reference);
    visit(described::length, per::completion, self.length);
    visit(described::score, per::completion, self.score);
  }

  [[nodiscard]] std::size_t size() const { return prompt.size(); }
  [[nodiscard]] std::size_t rows(per what) const {
    return what == per::completion ? completion.size() : size();
  }

  void add_pair(std::uint32_t p, std::uint32_t chosen, std::uint32_t rejected) {
    if (chosen == rejected) {
      detail::broken("choice_data: pair " + std::to_string(size()) + " of prompt " +
                     std::to_string(p) + " has the same completion, " + std::to_string(chosen) +
                     ", as chosen and as rejected");
    }
    prompt.push_back(p);
    completion.push_back(chosen);
    completion.push_back(rejected);
    offset.push_back(completion.size());
  }
  void add_labelled(std::uint32_t p, std::uint32_t y, bool desirable) {
    prompt.push_back(p);
    completion.push_back(y);
    offset.push_back(completion.size());
    label.push_back(desirable ? 1.0f : 0.0f);
  }
  void add_list(std::uint32_t p, std::span<std::uint32_t const> ys) {
    if (ys.empty()) detail::broken("choice_data: a list needs at least one completion");
    for (std::size_t i = 1; i < ys.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        if (ys[i] != ys[j]) continue;
        detail::broken("choice_data: list " + std::to_string(size()) + " of prompt " +
                       std::to_string(p) + " has completion " + std::to_string(ys[i]) +
                       " twice, in places " + std::to_string(j) + " and " + std::to_string(i));
      }
    }
    prompt.push_back(p);
    for (std::uint32_t const y : ys) completion.push_back(y);
    offset.push_back(completion.size());
  }

  /// Throws precondition_error unless the columns fit together; `where` is the caller's name. Whether ids
  /// exist, only a policy knows.
  void expects_shapes(char const* where) const {
    expects_size(offset.size(), size() + 1, where, "offset");
    expects_size(offset.front(), 0, where, "the part of completion before the first group");
    for (std::size_t g = 0; g < size(); ++g) {
      if (offset[g] > offset[g + 1]) {
        detail::broken(std::string(where) + ": offset falls from " + std::to_string(offset[g]) +
                       " to " + std::to_string(offset[g + 1]) + " in row " + std::to_string(g));
      }
    }
    expects_size(completion.size(), offset.back(), where, "completion");
    describe(*this, [&](auto is, per each, auto const& column) {
      if (!column.empty()) expects_size(column.size(), rows(each), where, is.spelling);
    });
    if (!kl_examples.empty()) expects_size(kl_examples.size(), size(), where, "kl_examples");
  }

  /// Gives every labelled example the completion of the next example that has another prompt: the
  /// kl_examples pairs of KTO's baseline. The order is fixed, so references can be cached for them.
  void pair_with_others() {
    std::size_t const n = size();
    if (completion.size() != n) {
      detail::broken("choice_data: KL examples are for labelled examples, one completion each");
    }
    std::vector<std::uint32_t> found(n);
    std::size_t other =
        0;  // first example after i, cyclically, with another prompt; counted without wrap
    for (std::size_t i = 0; i < n; ++i) {
      if (other <= i) other = i + 1;
      while (other < i + n && prompt[other % n] == prompt[i]) ++other;
      if (other >= i + n) {
        detail::broken("choice_data: KL examples need examples of at least two prompts");
      }
      found[i] = completion[offset[other % n]];
    }
    kl_examples.swap(found);
  }

  [[nodiscard]] choice_batch batch() const {
    return {view_of(prompt), view_of(completion), view_of(offset)};
  }
};
using choice_data = basic_choice_data<>;

}  // namespace prefer::inline v0_1
