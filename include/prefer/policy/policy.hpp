// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <span>
#include <vector>

#include <prefer/policy/parameter.hpp>

namespace prefer {

namespace detail {

template <class P>
concept has_value_type = requires { requires std::floating_point<typename P::value_type>; };

template <class P, class B>
concept gives_log_prob =
    requires(P& policy, B const& batch, std::span<typename P::value_type> out) {
      policy.log_prob(batch, out);
    };

template <class P, class B>
concept takes_coefficients =
    requires(P& policy, B const& batch, std::span<typename P::value_type const> coefficient) {
      policy.backward(batch, coefficient);
    };

template <class P>
concept has_parameters = requires(P& policy) {
  { policy.parameters() } -> std::convertible_to<std::vector<parameter<typename P::value_type>>>;
};

}  // namespace detail

/// A model that can be trained by preferences over batches of type B.
///
/// Asked for   `value_type`, float or double; `log_prob(batch, out)`, one number per completion in nats;
///             `backward(batch, coefficient)`, which adds sum_i coefficient_i * d log_prob_i / d theta to the
///             gradients; `parameters()`, views that stay valid as long as the policy lives
/// Semantics   backward is the transpose of log_prob's derivative, follows log_prob of the same batch with
///             no change of parameters between, and adds up over calls to the same bits however a batch is
///             cut into calls
/// Optional    `finish_backward()`, called once after the last backward of a step: for work that is cheaper
///             once per step than once per call. Gradients are complete only after it.
///             With nothing pending it does nothing; it is called so to discard what a failed step left.
///             `score(batch, out)` and `backward_score(batch, coefficient)`: log_prob up to a constant per
///             prompt, for losses in which that constant cancels (margin_only).
///             `clear_gradient()`: sets to 0 what backward has written, where that is less than everything
///             `use(executor)`: threads to run on; results do not depend on it
///             What some methods ask of a policy over token sequences has concepts in token_policy.hpp:
///             `token_offsets(batch, out)`, `token_log_prob(batch, out)`, `token_backward(batch, coefficient)`
///             for aggregations of tokens; `alignment(batch, out)` for WPO; `divergence(reference, batch, out)`
///             and `backward_divergence(reference, batch, coefficient)` for TDPO;
///             `perturbed_log_prob(reference, amount, batch, out)` for epsilon-DPO. As metrics:
///             `entropy(batch, out)`, `mean_logit(batch, out)`, `token_accuracy(batch, out)`
template <class P, class B>
concept Policy = detail::has_value_type<P> && detail::gives_log_prob<P, B> &&
                 detail::takes_coefficients<P, B> && detail::has_parameters<P>;

/// The policy offers unnormalised scores as well.
template <class P, class B>
concept ScoringPolicy =
    Policy<P, B> && requires(P& policy, B const& batch, std::span<typename P::value_type> out,
                             std::span<typename P::value_type const> coefficient) {
      policy.score(batch, out);
      policy.backward_score(batch, coefficient);
    };

namespace check {

/// For the first line of a "bring your own policy" file: static_assert(prefer::check::policy<mine, batch>());
template <class P, class B>
consteval bool policy() {
  static_assert(detail::has_value_type<P>, "prefer: a policy has a value_type, float or double");
  if constexpr (detail::has_value_type<P>) {
    static_assert(detail::gives_log_prob<P, B>,
                  "prefer: a policy has log_prob(batch, std::span<value_type> out)");
    static_assert(detail::takes_coefficients<P, B>,
                  "prefer: a policy has backward(batch, std::span<value_type const> coefficient)");
    static_assert(
        detail::has_parameters<P>,
        "prefer: a policy has parameters(), a std::vector of prefer::parameter<value_type>");
  }
  return true;
}

}  // namespace check

}  // namespace prefer
