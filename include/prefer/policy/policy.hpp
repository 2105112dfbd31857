// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <span>
#include <vector>

#include <prefer/policy/parameter.hpp>

namespace prefer::inline v0_1 {

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
struct parameter_type_of {
  using type = typename P::value_type;
};
template <class P>
  requires requires { requires std::floating_point<typename P::parameter_type>; }
struct parameter_type_of<P> {
  using type = typename P::parameter_type;
};

}  // namespace detail

/// What a policy stores its parameters and their gradients in: its `parameter_type`, else its value_type. The state of
/// an optimizer is in the same type.
template <class P>
using parameter_type_t = typename detail::parameter_type_of<P>::type;

namespace detail {

template <class P>
concept has_parameters = requires(P& policy) {
  { policy.parameters() } -> std::convertible_to<std::vector<parameter<parameter_type_t<P>>>>;
};

}  // namespace detail

/// A model that can be trained by preferences over batches of type B.
///
/// Asked for   `value_type`, float or double; `log_prob(batch, out)`, one number per completion in nats;
///             `backward(batch, coefficient)`, which adds sum_i coefficient_i * d log_prob_i / d theta to the
///             gradients; `parameters()`, views that stay valid as long as the policy lives
/// Semantics   backward is the transpose of log_prob's derivative, and adds up over calls to the same bits
///             however a batch is cut into calls. It follows the forward pass (`log_prob` or `evaluate`) of the
///             same batch with no other call to the policy between, so that activations may be kept; a reference
///             that shares memory with the policy is asked before the two.
///
/// That is enough for a small policy. What else it may offer:
///
/// Forward     `evaluate(batch, outputs)` and `evaluate(batch, outputs, reference)`: all that is wanted of a batch
///             in one pass, see completion_outputs; `gives`, a static completion_output_set that names what they
///             give besides log_prob. Columns that compare with a reference (divergence, perturbed_*) are wanted
///             only of the second.
/// Backward    `backward(batch, gradients)` and `backward(batch, gradients, reference)`: all that comes back, in
///             one pass, see completion_gradients
///             `finish_backward()`, called once after the last backward of a step: for work that is cheaper
///             once per step than once per call. Gradients are complete only after it.
///             With nothing pending it does nothing; it is called so to discard what a failed step left.
///             `clear_gradient()`: sets to 0 what backward has written, where that is less than everything
/// Logits      `logit(batch, out)` and `backward_logit(batch, coefficient)`: log_prob up to a constant per
///             prompt, for losses in which that constant cancels (margin_only)
/// Tokens      `token_offsets`, `token_log_prob` and `token_backward`, see TokenPolicy
///             `group_tokens(batch, out)`: how many tokens a forward pass of each group takes, prompt included;
///             for micro-batches by tokens. Without it they count completions by token_offsets.
/// Checks      `same_completion(a, b)`: whether two numbers stand for the same completion, which no row may prefer to
///             itself. `static constexpr bool divides_by_length = true` with `length(batch, out)`: log_prob is per
///             token already, and a loss that divides by lengths wants those
/// Storage     `parameter_type`, float or double: what parameters and gradients are stored in, where that is not
///             value_type
///             `parameters_moved()`: called after an optimizer step, a resume or a restore has written parameters,
///             for what is derived from them (packed copies, shadows in another type)
///             `identity()`: a number that stands for all that results depend on besides what is trained: the base
///             model, the texts behind the ids. It enters checkpoints; see `fingerprint`. Asked once, when a
///             trainer is made.
///             `use(executor)`: threads to run on; results do not depend on it
template <class P, class B>
concept Policy = detail::has_value_type<P> && detail::gives_log_prob<P, B> &&
                 detail::takes_coefficients<P, B> && detail::has_parameters<P>;

/// The policy offers logits as well.
template <class P, class B>
concept LogitPolicy =
    Policy<P, B> && requires(P& policy, B const& batch, std::span<typename P::value_type> out,
                             std::span<typename P::value_type const> coefficient) {
      policy.logit(batch, out);
      policy.backward_logit(batch, coefficient);
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
    static_assert(detail::has_parameters<P>,
                  "prefer: a policy has parameters(), a std::vector of "
                  "prefer::parameter<value_type>, or of its parameter_type");
  }
  return true;
}

}  // namespace check

}  // namespace prefer::inline v0_1
