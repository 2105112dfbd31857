// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include <prefer/policy/completion_outputs.hpp>
#include <prefer/policy/policy.hpp>

namespace prefer::inline v0_1 {

namespace detail {

template <class P, class B>
concept gives_token_offsets = requires(P& policy, B const& batch, std::vector<std::size_t>& out) {
  policy.token_offsets(batch, out);
};

template <class P, class B>
concept gives_token_log_prob =
    requires(P& policy, B const& batch, std::span<typename P::value_type> out) {
      policy.token_log_prob(batch, out);
    };

template <class P, class B>
concept takes_token_coefficients =
    requires(P& policy, B const& batch, std::span<typename P::value_type const> coefficient) {
      policy.token_backward(batch, coefficient);
    };

}  // namespace detail

/// A reference that can be asked token by token.
///
/// Asked for   `token_offsets(batch, out)`: where each completion's tokens begin in a flat token column of the
///             batch, and the end [N + 1], a std::vector<std::size_t>;
///             `token_log_prob(batch, out)`, one number per token in nats, end to end in batch order
/// Semantics   a completion's log_prob is the sum of its tokens'
template <class R, class B>
concept TokenReference = detail::has_value_type<R> && detail::gives_token_offsets<R, B> &&
                         detail::gives_token_log_prob<R, B>;

/// A policy that can be asked, and trained, token by token: what an aggregation of tokens needs.
///
/// Asked for   what Policy and TokenReference ask for, and `token_backward(batch, coefficient)`, which adds
///             sum_t coefficient_t * d token_log_prob_t / d theta to the gradients
/// Semantics   token_backward has the promises of backward
template <class P, class B>
concept TokenPolicy =
    Policy<P, B> && TokenReference<P, B> && detail::takes_token_coefficients<P, B>;

/// The policy says how typical a completion is of it, which WPO weighs pairs by: its `evaluate` gives alignment.
template <class P, class B>
concept AlignmentPolicy = Policy<P, B> && detail::evaluates<P, B> &&
                          (outputs_of<P>().contains(completion_output::alignment));

/// The policy says how far it is from a reference of type R along a completion, with a gradient, for TDPO: its
/// `evaluate` and `backward` against that reference give and take divergence.
template <class P, class R, class B>
concept DivergencePolicy = Policy<P, B> && detail::evaluates_against<P, B, R> &&
                           detail::takes_gradients_against<P, B, R> &&
                           (outputs_of<P>().contains(completion_output::divergence));

/// The policy gives log-probabilities as if it were nearer to a reference of type R, or farther from it, for
/// epsilon-DPO: its `evaluate` against that reference gives perturbed_toward and perturbed_away.
template <class P, class R, class B>
concept PerturbablePolicy = Policy<P, B> && detail::evaluates_against<P, B, R> &&
                            (outputs_of<P>().contains(completion_output::perturbed));

namespace check {

/// For the first line of a "bring your own language model" file:
/// static_assert(prefer::check::token_policy<mine, batch>());
template <class P, class B>
consteval bool token_policy() {
  policy<P, B>();
  static_assert(detail::gives_token_offsets<P, B>,
                "prefer: a token policy has token_offsets(batch, std::vector<std::size_t>& out)");
  if constexpr (detail::has_value_type<P>) {
    static_assert(detail::gives_token_log_prob<P, B>,
                  "prefer: a token policy has token_log_prob(batch, std::span<value_type> out)");
    static_assert(detail::takes_token_coefficients<P, B>,
                  "prefer: a token policy has token_backward(batch, std::span<value_type const> "
                  "coefficient)");
  }
  return true;
}

}  // namespace check

}  // namespace prefer::inline v0_1
