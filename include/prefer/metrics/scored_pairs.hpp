// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/batch/columns.hpp>
#include <prefer/expects.hpp>
#include <prefer/on_demand.hpp>
#include <prefer/reference/reference.hpp>

namespace prefer::inline v0_1 {

/// The numbers of a data set of pairs under a policy and a reference, for metrics before, during and after
/// training.
template <class = on_demand>
struct basic_scored_pairs {
  /// Of one side.
  struct side {
    std::vector<double> policy;     // [G] log_prob, nats
    std::vector<double> reference;  // [G]
    std::vector<double> length;     // [G], or empty
  };
  side chosen;
  side rejected;
  std::vector<double> weight;         // [G], or empty
  std::vector<double> beta;           // [G], or empty
  std::vector<double> target_margin;  // [G], or empty

  [[nodiscard]] std::size_t size() const { return chosen.policy.size(); }

  /// Views, valid as long as this lives and is not changed.
  [[nodiscard]] pair_columns columns() const& {
    auto const optional = [](std::vector<double> const& from) {
      return from.empty() ? column() : column(from);
    };
    return {.policy = {chosen.policy, rejected.policy},
            .reference = {chosen.reference, rejected.reference},
            .length = {optional(chosen.length), optional(rejected.length)},
            .weight = optional(weight),
            .beta = optional(beta),
            .target_margin = optional(target_margin)};
  }
  // clang-format off
  pair_columns columns() const&& = delete;  // prefer: columns view the numbers; give them a name first
  // clang-format on
};
using scored_pairs = basic_scored_pairs<>;

/// Scores every pair of a data set with log-probabilities, `micro_batch_size` pairs at a time; those of the policy may be a
/// reward model's scores.
///
/// Errors  precondition_error for data that is not pairs, or whose columns disagree
template <class P, class R>
  requires Reference<P, choice_batch> && Reference<R, choice_batch>
[[nodiscard]] scored_pairs score_pairs(P& policy, R& reference, choice_data const& data,
                                       std::size_t micro_batch_size = 1024) {
  expects(micro_batch_size > 0, "score_pairs: micro_batch_size must be at least 1");
  data.expects_shapes("score_pairs");
  std::size_t const n = data.size();
  std::vector<std::size_t> row(n);
  for (std::size_t g = 0; g < n; ++g) {
    row[g] = g;
    if (data.offset[g + 1] - data.offset[g] == 2) continue;
    detail::broken("score_pairs: row " + std::to_string(g) + " has " +
                   std::to_string(data.offset[g + 1] - data.offset[g]) +
                   " completions; a pair has 2");
  }
  scored_pairs out;
  std::vector<typename P::value_type> ours;
  std::vector<typename R::value_type> theirs;
  for (std::size_t begin = 0; begin < n; begin += micro_batch_size) {
    std::size_t const count = detail::at_most(micro_batch_size, n - begin);
    // All groups have two completions, so the offsets of the first `count` groups are those of any.
    choice_batch const batch{.prompt = view_of(data.prompt, begin, count),
                             .completion = view_of(data.completion, 2 * begin, 2 * count),
                             .offset = view_of(data.offset, 0, count + 1),
                             .row = view_of(row, begin, count)};
    ours.resize(2 * count);
    theirs.resize(2 * count);
    policy.log_prob(batch, ours);
    reference.log_prob(batch, theirs);
    for (std::size_t g = 0; g < count; ++g) {
      out.chosen.policy.push_back(static_cast<double>(ours[2 * g]));
      out.rejected.policy.push_back(static_cast<double>(ours[2 * g + 1]));
      out.chosen.reference.push_back(static_cast<double>(theirs[2 * g]));
      out.rejected.reference.push_back(static_cast<double>(theirs[2 * g + 1]));
    }
  }
  for (std::size_t i = 0; i < data.length.size(); ++i) {
    (i % 2 == 0 ? out.chosen : out.rejected).length.push_back(static_cast<double>(data.length[i]));
  }
  append(out.weight, data.weight);
  append(out.beta, data.beta);
  append(out.target_margin, data.target_margin);
  return out;
}

}  // namespace prefer::inline v0_1
