// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/expects.hpp>

namespace prefer::inline v0_1::detail {

template <class P>
concept counts_group_tokens =
    requires(P& policy, choice_batch const& batch, std::vector<std::size_t>& out) {
      policy.group_tokens(batch, out);
    };

template <class P>
concept counts_completion_tokens =
    requires(P& policy, choice_batch const& batch, std::vector<std::size_t>& out) {
      policy.token_offsets(batch, out);
    };

/// How many tokens a policy reads for each group of a batch: as it says itself, else those of the completions.
template <class P>
void count_group_tokens(P& policy, choice_batch const& batch, std::vector<std::size_t>& out) {
  if constexpr (counts_group_tokens<P>) {
    policy.group_tokens(batch, out);
    expects_size(out.size(), batch.size(), "trainer", "group_tokens of the policy");
  } else if constexpr (counts_completion_tokens<P>) {
    std::vector<std::size_t> offset;
    policy.token_offsets(batch, offset);
    out.resize(batch.size());
    for (std::size_t g = 0; g != batch.size(); ++g) {
      out[g] = offset[batch.offset[g + 1]] - offset[batch.offset[g]];
    }
  } else {
    broken(
        "trainer: micro_batch_tokens needs a policy that counts tokens: group_tokens(batch, out) "
        "or "
        "token_offsets(batch, out)");
  }
}

}  // namespace prefer::inline v0_1::detail
