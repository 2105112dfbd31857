// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include <prefer/batch/choices.hpp>
#include <prefer/expects.hpp>
#include <prefer/on_demand.hpp>

namespace prefer::inline v0_1 {

/// How the tokens of a completion become its score: one weight per token, linear, the same for policy and
/// reference.
///
///   log_prob(y) = sum_t weight_t * token_log_prob_t
///
/// Asked for   `weights(batch, token_offset, std::span<double> out)`, const: the weights of all tokens of a batch,
///             end to end; completion i of the batch has the tokens [token_offset[i], token_offset[i + 1])
/// Semantics   depends on what the batch says alone: the same batch gives the same weights, and the weights of a
///             group do not depend on the other groups
/// Optional    `static constexpr bool depends_on_draw = true`: the weights depend on `batch.draw`, so a reference cannot be
///             cached; `static constexpr bool divides_by_length = true`: log_prob is per token, and a loss that divides by
///             lengths itself is refused by a trainer; `identity()`, a number that stands for its settings, without which
///             a checkpoint does not know them
template <class A, class B>
concept Aggregation =
    requires(A const& aggregation, B const& batch, std::span<std::size_t const> token_offset,
             std::span<double> out) { aggregation.weights(batch, token_offset, out); };

namespace detail {

template <class A>
inline constexpr bool draws_tokens = requires { requires A::depends_on_draw; };

/// Throws precondition_error unless there is one weight per token; `where` is the caller's name.
template <class = on_demand>
void expects_token_weights(choice_batch const& batch, std::span<std::size_t const> token_offset,
                           std::size_t weights, char const* where) {
  expects_size(token_offset.size(), batch.completions() + 1, where, "token_offset");
  expects_size(weights, token_offset.back(), where, "the column of weights");
}

/// Calls f(group, weights of chosen, weights of rejected) for every pair.
///
/// Errors  precondition_error for a group that is no pair
template <class F>
void for_each_pair(choice_batch const& batch, std::span<std::size_t const> token_offset,
                   std::span<double> weight, char const* where, F&& f) {
  expects_token_weights(batch, token_offset, weight.size(), where);
  for (std::size_t g = 0; g != batch.size(); ++g) {
    std::size_t const i = batch.offset[g];
    if (batch.offset[g + 1] - i != 2) {
      broken(std::string(where) + ": group " + std::to_string(g) + " has " +
             std::to_string(batch.offset[g + 1] - i) +
             " completions, expected 2: what two completions share is asked of pairs");
    }
    std::size_t const chosen = token_offset[i + 1] - token_offset[i];
    std::size_t const rejected = token_offset[i + 2] - token_offset[i + 1];
    f(g, weight.subspan(token_offset[i], chosen), weight.subspan(token_offset[i + 1], rejected));
  }
}

}  // namespace detail

}  // namespace prefer::inline v0_1
