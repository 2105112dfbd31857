// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <prefer/aggregation/aggregation.hpp>
#include <prefer/batch/token_table.hpp>
#include <prefer/expects.hpp>
#include <prefer/file/fingerprint.hpp>
#include <prefer/on_demand.hpp>

namespace prefer::inline v0_1 {

/// Step-DPO on whole answers: of each completion only the tokens of the step that is judged count, those after the
/// common prefix up to the end of the step.
///
///   weight_t = 1 for begin <= t < end, else 0
///
/// With the common prefix moved into the prompt, plain DPO gives the same numbers; the mask keeps the answers whole.
/// `step_pairs` (batch/step_pairs.hpp) makes the data of either form.
///
/// Errors  precondition_error for an empty range, a completion without a range, or a range that goes beyond its tokens
/// Cache   depends on the completion alone: a cache made with it is right with it
/// Source  Lai et al. 2024, arXiv:2406.18629
template <class = on_demand>
class basic_step_mask {
 public:
  /// `counted[id]`: the tokens of completion `id` that count.
  explicit basic_step_mask(std::vector<token_range> counted)
      : counted_(static_cast<std::vector<token_range>&&>(counted)) {
    for (std::size_t id = 0; id < counted_.size(); ++id) {
      if (counted_[id].begin < counted_[id].end) continue;
      detail::broken("step_mask: of completion " + std::to_string(id) +
                     " no token counts: its step is [" + std::to_string(counted_[id].begin) + ", " +
                     std::to_string(counted_[id].end) + ")");
    }
  }

  [[nodiscard]] std::uint64_t identity() const {
    fingerprint out;
    out.add("step_mask");
    for (token_range const& each : counted_) out.add(each.begin).add(each.end);
    return out.value();
  }

  template <class = on_demand>
  void weights(choice_batch const& batch, std::span<std::size_t const> token_offset,
               std::span<double> out) const {
    detail::expects_token_weights(batch, token_offset, out.size(), "step_mask");
    for (std::size_t i = 0; i != batch.completions(); ++i) {
      std::size_t const length = token_offset[i + 1] - token_offset[i];
      token_range const step = step_of(batch.completion[i], length);
      for (std::size_t t = 0; t != length; ++t) {
        out[token_offset[i] + t] = t >= step.begin && t < step.end ? 1 : 0;
      }
    }
  }

 private:
  [[nodiscard]] token_range step_of(std::uint32_t id, std::size_t length) const {
    if (id >= counted_.size()) {
      detail::broken("step_mask: completion " + std::to_string(id) + " has no step, " +
                     std::to_string(counted_.size()) + " completions have one");
    }
    token_range const step = counted_[id];
    if (step.end > length) {
      detail::broken("step_mask: the step of completion " + std::to_string(id) + " is [" +
                     std::to_string(step.begin) + ", " + std::to_string(step.end) + ") of " +
                     std::to_string(length) + " tokens");
    }
    return step;
  }

  std::vector<token_range> counted_;
};
using step_mask = basic_step_mask<>;

}  // namespace prefer::inline v0_1
