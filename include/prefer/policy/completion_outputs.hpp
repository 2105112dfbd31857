// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>

#include <prefer/expects.hpp>
#include <prefer/on_demand.hpp>

namespace prefer {

/// What a policy can say of a completion besides its log-probability. As bits, so that they make sets.
enum class completion_output : std::uint32_t {
  token_log_prob = 1U << 0,
  divergence = 1U << 1,
  alignment = 1U << 2,
  perturbed = 1U << 3,  ///< both perturbed_toward and perturbed_away
  entropy = 1U << 4,
  mean_logit = 1U << 5,
  token_accuracy = 1U << 6,
  value = 1U << 7
};

/// A set of outputs.
struct completion_output_set {
  std::uint32_t bits = 0;  // public, so that a set can be a template argument

  constexpr completion_output_set() = default;
  constexpr completion_output_set(completion_output one)  // NOLINT(google-explicit-constructor)
      : bits(static_cast<std::uint32_t>(one)) {}

  [[nodiscard]] constexpr bool contains(completion_output_set other) const {
    return (bits & other.bits) == other.bits;
  }
  [[nodiscard]] constexpr bool empty() const { return bits == 0; }
  friend constexpr completion_output_set operator|(completion_output_set a,
                                                   completion_output_set b) {
    a.bits |= b.bits;
    return a;
  }
  friend constexpr completion_output_set operator-(completion_output_set a,
                                                   completion_output_set b) {
    a.bits &= ~b.bits;
    return a;
  }
  friend constexpr bool operator==(completion_output_set, completion_output_set) = default;
};

[[nodiscard]] constexpr completion_output_set operator|(completion_output a, completion_output b) {
  return completion_output_set(a) | completion_output_set(b);
}

/// What one forward pass over a batch is asked for, a column for each; what is empty is not wanted.
///
/// One number per completion; token_log_prob has one per token, end to end in batch order, see `token_offsets`
/// of a TokenPolicy.
template <class T>
struct completion_outputs {
  using value_type = T;

  std::span<T> log_prob = {};        ///< sum_t weight_t * token_log_prob_t, nats
  std::span<T> token_log_prob = {};  ///< nats, one per token
  std::span<T> divergence = {};      ///< sum_t KL(reference || policy) at position t, nats
  std::span<T> alignment = {};  ///< mean_t [token_log_prob_t - log sum_v exp(2 token_log_prob_v)]
  std::span<T> perturbed_toward =
      {};  ///< log_prob, the logits moved to the reference by perturbation
  std::span<T> perturbed_away = {};  ///< log_prob, the logits moved away from it
  std::span<T> entropy = {};         ///< of the next token, nats, mean over tokens
  std::span<T> mean_logit = {};      ///< over vocabulary and tokens: an alarm for drift
  std::span<T> token_accuracy = {};  ///< share of tokens that are the most likely ones
  std::span<T> value = {};           ///< of a value head
  double perturbation = 0.01;        ///< logits +- perturbation * (logits - reference's logits)
  /// One number per token, empty: each 1. Of log_prob and what is compared with it (perturbed_*); the rest is
  /// over all tokens. A token of weight 0 does not count even where its log-probability is not finite.
  std::span<double const> token_weight = {};

  /// What is wanted besides log_prob.
  [[nodiscard]] constexpr completion_output_set wanted() const {
    completion_output_set out;
    auto const add = [&](std::span<T> column, completion_output name) {
      if (!column.empty()) out = out | name;
    };
    add(token_log_prob, completion_output::token_log_prob);
    add(divergence, completion_output::divergence);
    add(alignment, completion_output::alignment);
    add(perturbed_toward, completion_output::perturbed);
    add(perturbed_away, completion_output::perturbed);
    add(entropy, completion_output::entropy);
    add(mean_logit, completion_output::mean_logit);
    add(token_accuracy, completion_output::token_accuracy);
    add(value, completion_output::value);
    return out;
  }

  /// Whether every column that is wanted has a number for each completion in the batch, or for each of their tokens.
  ///
  /// Errors  precondition_error naming the column
  void expects_sizes(std::size_t in_batch, std::size_t tokens, char const* where) const {
    auto const expect = [where](auto column, std::size_t size, char const* name) {
      if (!column.empty()) expects_size(column.size(), size, where, name);
    };
    expect(log_prob, in_batch, "log_prob");
    expect(token_log_prob, tokens, "token_log_prob");
    expect(divergence, in_batch, "divergence");
    expect(alignment, in_batch, "alignment");
    expect(perturbed_toward, in_batch, "perturbed_toward");
    expect(perturbed_away, in_batch, "perturbed_away");
    expect(entropy, in_batch, "entropy");
    expect(mean_logit, in_batch, "mean_logit");
    expect(token_accuracy, in_batch, "token_accuracy");
    expect(value, in_batch, "value");
    expect(token_weight, tokens, "token_weight");
  }
};

/// What one backward pass over a batch is given: derivatives of the loss with respect to outputs of its forward
/// pass, with those columns' shapes. What is empty is zero.
template <class T>
struct completion_gradients {
  using value_type = T;

  std::span<T const> log_prob = {};
  std::span<T const> token_log_prob = {};
  std::span<T const> divergence = {};
  std::span<T const> value = {};
  std::span<double const> token_weight = {};  ///< of log_prob, as in the forward pass

  /// What is given besides log_prob.
  [[nodiscard]] constexpr completion_output_set given() const {
    completion_output_set out;
    if (!token_log_prob.empty()) out = out | completion_output::token_log_prob;
    if (!divergence.empty()) out = out | completion_output::divergence;
    if (!value.empty()) out = out | completion_output::value;
    return out;
  }

  /// As that of completion_outputs.
  void expects_sizes(std::size_t in_batch, std::size_t tokens, char const* where) const {
    auto const expect = [where](auto column, std::size_t size, char const* name) {
      if (!column.empty()) expects_size(column.size(), size, where, name);
    };
    expect(log_prob, in_batch, "log_prob");
    expect(token_log_prob, tokens, "token_log_prob");
    expect(divergence, in_batch, "divergence");
    expect(value, in_batch, "value");
    expect(token_weight, tokens, "token_weight");
  }
};

/// What a policy says that it gives besides log_prob: its static member `gives`. Nothing where it has none.
template <class P>
[[nodiscard]] consteval completion_output_set outputs_of() {
  using policy = std::remove_cvref_t<P>;
  if constexpr (requires { completion_output_set(policy::gives); }) {
    return policy::gives;
  } else {
    return {};
  }
}

namespace detail {

inline constexpr completion_output_set against_a_reference =
    completion_output::divergence | completion_output::perturbed;

[[nodiscard]] constexpr completion_output_set tokens_if(bool per_token) {
  return per_token ? completion_output_set(completion_output::token_log_prob)
                   : completion_output_set();
}

template <class = on_demand>
void expects_outputs(completion_output_set given, completion_output_set wanted, char const* where) {
  if (given.contains(wanted)) return;
  static constexpr struct {
    completion_output output;
    char const* name;
  } names[] = {{completion_output::token_log_prob, "token_log_prob"},
               {completion_output::divergence, "divergence"},
               {completion_output::alignment, "alignment"},
               {completion_output::perturbed, "perturbed_toward and perturbed_away"},
               {completion_output::entropy, "entropy"},
               {completion_output::mean_logit, "mean_logit"},
               {completion_output::token_accuracy, "token_accuracy"},
               {completion_output::value, "value"}};
  for (auto const& [output, name] : names) {
    if (!wanted.contains(output) || given.contains(output)) continue;
    broken(std::string(where) + ": this policy does not give " + name +
           ", or not against this reference");
  }
}

template <class P, class B, class R>
concept evaluates_against =
    requires(P& policy, B const& batch, completion_outputs<typename P::value_type> const& wanted,
             R& reference) { policy.evaluate(batch, wanted, reference); };

template <class P, class B>
concept evaluates =
    requires(P& policy, B const& batch, completion_outputs<typename P::value_type> const& wanted) {
      policy.evaluate(batch, wanted);
    };

template <class P, class B, class R>
concept takes_gradients_against =
    requires(P& policy, B const& batch, completion_gradients<typename P::value_type> const& given,
             R& reference) { policy.backward(batch, given, reference); };

template <class P, class B>
concept takes_gradients =
    requires(P& policy, B const& batch, completion_gradients<typename P::value_type> const& given) {
      policy.backward(batch, given);
    };

}  // namespace detail

/// Asks a policy for all that is wanted of a batch: in one call of `evaluate`, against the reference where the
/// policy takes it; with the short contract, of `log_prob` and, of a token policy, `token_log_prob`.
///
/// Errors  precondition_error for an output that the policy does not give
template <class P, class B, class R>
void forward_pass(P& policy, B const& batch,
                  completion_outputs<typename P::value_type> const& wanted, R& reference) {
  if constexpr (detail::evaluates_against<P, B, R>) {
    detail::expects_outputs(outputs_of<P>(), wanted.wanted(), "forward_pass");
    policy.evaluate(batch, wanted, reference);
  } else if constexpr (detail::evaluates<P, B>) {
    detail::expects_outputs(outputs_of<P>() - detail::against_a_reference, wanted.wanted(),
                            "forward_pass");
    policy.evaluate(batch, wanted);
  } else {
    constexpr bool per_token = requires { policy.token_log_prob(batch, wanted.token_log_prob); };
    detail::expects_outputs(detail::tokens_if(per_token), wanted.wanted(), "forward_pass");
    expects(wanted.token_weight.empty(),
            "forward_pass: this policy has no evaluate, so it weighs no tokens; see aggregated");
    if constexpr (per_token) {
      if (!wanted.token_log_prob.empty()) policy.token_log_prob(batch, wanted.token_log_prob);
    }
    if (!wanted.log_prob.empty()) policy.log_prob(batch, wanted.log_prob);
  }
}

/// Hands a policy all derivatives with respect to the outputs of the forward pass just before: in one call of
/// `backward(batch, gradients)`, against the reference where the policy takes it; with the short contract, of
/// `backward(batch, coefficient)` and, of a token policy, `token_backward`.
///
/// Errors  precondition_error for a derivative of an output that the policy does not give
template <class P, class B, class R>
void backward_pass(P& policy, B const& batch,
                   completion_gradients<typename P::value_type> const& given, R& reference) {
  if constexpr (detail::takes_gradients_against<P, B, R>) {
    detail::expects_outputs(outputs_of<P>(), given.given(), "backward_pass");
    policy.backward(batch, given, reference);
  } else if constexpr (detail::takes_gradients<P, B>) {
    detail::expects_outputs(outputs_of<P>() - detail::against_a_reference, given.given(),
                            "backward_pass");
    policy.backward(batch, given);
  } else {
    constexpr bool per_token = requires { policy.token_backward(batch, given.token_log_prob); };
    detail::expects_outputs(detail::tokens_if(per_token), given.given(), "backward_pass");
    expects(given.token_weight.empty(),
            "backward_pass: this policy takes no gradients by name, so it weighs no tokens");
    if constexpr (per_token) {
      if (!given.token_log_prob.empty()) policy.token_backward(batch, given.token_log_prob);
    }
    if (!given.log_prob.empty()) policy.backward(batch, given.log_prob);
  }
}

}  // namespace prefer
