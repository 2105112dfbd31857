// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>

#include <prefer/batch/columns.hpp>
#include <prefer/expects.hpp>
#include <prefer/on_demand.hpp>
#include <prefer/scalar/probe.hpp>

namespace prefer::inline v0_1 {

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

/// What is known of an output besides its numbers. The columns of a batch that a policy fills go by theirs.
template <completion_output Output, column_set Column = column_set{}>
struct completion_output_description {
  static constexpr completion_output output = Output;
  static constexpr column_set column = Column;  ///< its column, of those that are handed to a loss
  static constexpr bool per_token = Output == completion_output::token_log_prob;

  char const* spelling;  ///< as messages have it
};

namespace described {

template <completion_output Output, column_set Column = column_set{}>
using output_is = completion_output_description<Output, Column>;
using o = completion_output;

inline constexpr output_is<o::token_log_prob> token_log_prob_output{"token_log_prob"};
inline constexpr output_is<o::divergence, n::divergence> divergence_output{"divergence"};
inline constexpr output_is<o::alignment, n::alignment> alignment_output{"alignment"};
inline constexpr output_is<o::perturbed, n::perturbed_toward> perturbed_toward_output{
    "perturbed_toward"};
inline constexpr output_is<o::perturbed, n::perturbed_away> perturbed_away_output{"perturbed_away"};
inline constexpr output_is<o::entropy> entropy_output{"entropy"};
inline constexpr output_is<o::mean_logit> mean_logit_output{"mean_logit"};
inline constexpr output_is<o::token_accuracy> token_accuracy_output{"token_accuracy"};
inline constexpr output_is<o::value, n::value_estimate> value_output{"value"};

}  // namespace described

namespace detail {

/// Whether each column that is wanted is as long as what it has one number for.
template <class Outputs>
void expects_output_sizes(Outputs const& of, std::size_t completions, std::size_t tokens,
                          char const* where) {
  auto const expect = [where](auto column, std::size_t size, char const* name) {
    if (!column.empty()) expects_size(column.size(), size, where, name);
  };
  expect(of.log_prob, completions, "log_prob");
  Outputs::describe(of, [&](auto is, auto column) {
    expect(column, is.per_token ? tokens : completions, is.spelling);
  });
  expect(of.token_weight, tokens, "token_weight");
}
/// The outputs that have a column.
template <class Outputs>
[[nodiscard]] constexpr completion_output_set outputs_in(Outputs const& of) {
  completion_output_set out;
  Outputs::describe(of, [&](auto is, auto column) {
    if (!column.empty()) out = out | is.output;
  });
  return out;
}

}  // namespace detail

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

  /// visit(description, column) for each output besides log_prob.
  static constexpr void describe(auto& self, auto&& visit) {
    visit(described::token_log_prob_output, self.token_log_prob);
    visit(described::divergence_output, self.divergence);
    visit(described::alignment_output, self.alignment);
    visit(described::perturbed_toward_output, self.perturbed_toward);
    visit(described::perturbed_away_output, self.perturbed_away);
    visit(described::entropy_output, self.entropy);
    visit(described::mean_logit_output, self.mean_logit);
    visit(described::token_accuracy_output, self.token_accuracy);
    visit(described::value_output, self.value);
  }

  /// What is wanted besides log_prob.
  [[nodiscard]] constexpr completion_output_set wanted() const { return detail::outputs_in(*this); }

  /// Whether every column that is wanted has a number for each completion in the batch, or for each of their tokens.
  ///
  /// Errors  precondition_error naming the column
  void expects_sizes(std::size_t in_batch, std::size_t tokens, char const* where) const {
    detail::expects_output_sizes(*this, in_batch, tokens, where);
  }
};

namespace detail {

/// How many outputs there are besides log_prob.
template <class T>
[[nodiscard]] consteval std::size_t count_outputs() {
  completion_outputs<T> const none;
  std::size_t count = 0;
  completion_outputs<T>::describe(none, [&](auto, auto const&) { ++count; });
  return count;
}

}  // namespace detail

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

  /// As that of completion_outputs.
  static constexpr void describe(auto& self, auto&& visit) {
    visit(described::token_log_prob_output, self.token_log_prob);
    visit(described::divergence_output, self.divergence);
    visit(described::value_output, self.value);
  }

  /// What is given besides log_prob.
  [[nodiscard]] constexpr completion_output_set given() const { return detail::outputs_in(*this); }

  /// As that of completion_outputs.
  void expects_sizes(std::size_t in_batch, std::size_t tokens, char const* where) const {
    detail::expects_output_sizes(*this, in_batch, tokens, where);
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
  completion_output_set first;  // of those that are missing
  std::string names;
  completion_outputs<double> const none;
  completion_outputs<double>::describe(none, [&](auto is, auto) {
    if (!wanted.contains(is.output) || given.contains(is.output)) return;
    if (first.empty()) first = is.output;
    if (first == is.output)
      names += names.empty() ? is.spelling : std::string(" and ") + is.spelling;
  });
  broken(std::string(where) + ": this policy does not give " + names +
         ", or not against this reference");
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

/// Asks a policy for all that is wanted of a batch: in one call of `evaluate`; with the short contract, of `log_prob` and,
/// of a token policy, `token_log_prob`.
///
/// Errors  precondition_error for an output that the policy does not give
template <class P, class B>
void forward_pass(P& policy, B const& batch,
                  completion_outputs<typename P::value_type> const& wanted) {
  if constexpr (detail::evaluates<P, B>) {
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
/// The same, against a reference where the policy takes it.
template <class P, class B, class R>
void forward_pass(P& policy, B const& batch,
                  completion_outputs<typename P::value_type> const& wanted, R& reference) {
  if constexpr (detail::evaluates_against<P, B, R>) {
    detail::expects_outputs(outputs_of<P>(), wanted.wanted(), "forward_pass");
    policy.evaluate(batch, wanted, reference);
  } else {
    forward_pass(policy, batch, wanted);
  }
}

/// Hands a policy all derivatives with respect to the outputs of the forward pass just before: in one call of
/// `backward(batch, gradients)`; with the short contract, of `backward(batch, coefficient)` and, of a token policy,
/// `token_backward`.
///
/// Errors  precondition_error for a derivative of an output that the policy does not give
template <class P, class B>
void backward_pass(P& policy, B const& batch,
                   completion_gradients<typename P::value_type> const& given) {
  if constexpr (detail::takes_gradients<P, B>) {
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
/// The same, against a reference where the policy takes it.
template <class P, class B, class R>
void backward_pass(P& policy, B const& batch,
                   completion_gradients<typename P::value_type> const& given, R& reference) {
  if constexpr (detail::takes_gradients_against<P, B, R>) {
    detail::expects_outputs(outputs_of<P>(), given.given(), "backward_pass");
    policy.backward(batch, given, reference);
  } else {
    backward_pass(policy, batch, given);
  }
}

}  // namespace prefer::inline v0_1
