// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include <prefer/aggregation/aggregation.hpp>
#include <prefer/expects.hpp>
#include <prefer/file/fingerprint.hpp>
#include <prefer/parallel/executor.hpp>
#include <prefer/policy/completion_outputs.hpp>
#include <prefer/policy/identity.hpp>
#include <prefer/policy/policy.hpp>
#include <prefer/policy/sampling_policy.hpp>
#include <prefer/policy/token_policy.hpp>

namespace prefer::inline v0_1 {

namespace detail {

/// A policy that is owned, or one that is referred to. A view is not copied, because a copy of it would still
/// move with the policy and yet be taken for a snapshot.
template <class P>
struct held {
  P value;
};
template <class P>
struct held<P&> {
  explicit held(P& policy) : value(policy) {}
  held(held const&) = delete;
  held& operator=(held const&) = delete;
  P& value;
};

}  // namespace detail

/// A token-level policy whose log_prob is a weighted sum over the tokens, with the weights of an aggregation.
///
///   log_prob(y) = sum_t weight_t * token_log_prob_t
///
///   prefer::aggregated policy(prefer::bigram<double>(vocabulary, table), prefer::ld_dpo_weights{.alpha = 0.5});
///   prefer::frozen reference(policy);
///   prefer::trainer run(policy, prefer::dpo{}, reference, data);
///
/// aggregated<P, A> owns its policy. aggregated<P&, A> refers to one that outlives it, and cannot be copied nor
/// frozen; freeze an owning one. Policy and reference get the same aggregation. A token of weight 0 does not count
/// even where its log-probability is not finite.
///
/// What else the policy gives in a forward pass is forwarded: perturbed_toward and perturbed_away with the weights,
/// since they are compared with log_prob; alignment, divergence, entropy, mean_logit and token_accuracy over all
/// tokens, whatever they weigh.
///
/// A loss that reads completion_length gets the data's, which no aggregation changes. Where it should count what the
/// aggregation counts, make the data's lengths so: `policy.length(data.batch(), data.length)`.
///
/// Errors  those of the aggregation and of the policy
template <class P, class A>
class aggregated {
  using policy_type = std::remove_reference_t<P>;
  // Whoever gives log-probabilities of tokens in a forward pass weighs them there.
  static constexpr bool weighs_tokens =
      outputs_of<policy_type>().contains(completion_output::token_log_prob);

 public:
  using value_type = typename policy_type::value_type;
  using parameter_type = parameter_type_t<policy_type>;
  /// What a call sees depends on the batch's draw, so it cannot be cached.
  static constexpr bool depends_on_draw = detail::draws_tokens<A>;
  /// log_prob is per token already.
  static constexpr bool divides_by_length = requires { requires A::divides_by_length; };
  static constexpr completion_output_set gives = outputs_of<policy_type>();

  aggregated(P policy, A aggregation)
    requires(!std::is_reference_v<P>)
      : policy_{std::move(policy)}, aggregation_(std::move(aggregation)) {}
  aggregated(P policy, A aggregation)
    requires(std::is_reference_v<P>)
      : policy_(policy), aggregation_(std::move(aggregation)) {}

  [[nodiscard]] policy_type const& policy() const { return policy_.value; }
  [[nodiscard]] A const& aggregation() const { return aggregation_; }

  template <class B>
    requires TokenReference<policy_type, B> && Aggregation<A, B>
  void log_prob(B const& batch, std::span<value_type> out) {
    expects_size(out.size(), batch.completions(), "aggregated::log_prob", "the column of values");
    find_weights(batch);
    token_.resize(weight_.size());
    policy_.value.token_log_prob(batch, std::span<value_type>(token_));
    add_up(out);
  }

  template <class B>
    requires TokenPolicy<policy_type, B> && Aggregation<A, B>
  void backward(B const& batch, std::span<value_type const> coefficient) {
    expects_size(coefficient.size(), batch.completions(), "aggregated::backward",
                 "the column of values");
    find_weights(batch);
    token_.resize(weight_.size());
    for (std::size_t i = 0; i != coefficient.size(); ++i) {
      for (std::size_t t = token_offset_[i]; t != token_offset_[i + 1]; ++t) {
        token_[t] = static_cast<value_type>(static_cast<double>(coefficient[i]) * weight_[t]);
      }
    }
    policy_.value.token_backward(batch, std::span<value_type const>(token_));
  }

  /// The sum of the weights of each completion's tokens: how many tokens count.
  template <class B>
    requires TokenReference<policy_type, B> && Aggregation<A, B>
  void length(B const& batch, std::span<float> out) {
    expects_size(out.size(), batch.completions(), "aggregated::length", "the column of values");
    find_weights(batch);
    for (std::size_t i = 0; i != out.size(); ++i) {
      double sum = 0;
      for (std::size_t t = token_offset_[i]; t != token_offset_[i + 1]; ++t) sum += weight_[t];
      out[i] = static_cast<float>(sum);
    }
  }

  /// One forward pass of the policy, log_prob and perturbed_* with these weights; the rest as it gives it.
  template <class B, class... R>
    requires Aggregation<A, B> && (weighs_tokens) &&
             requires(policy_type& p, B const& b, completion_outputs<value_type> wanted,
                      R&&... reference) { p.evaluate(b, wanted, reference...); }
  void evaluate(B const& batch, completion_outputs<value_type> wanted, R&&... reference) {
    if (wanted.token_weight.empty()) {
      find_weights(batch);
      wanted.token_weight = weight_;
    }
    policy_.value.evaluate(batch, wanted, reference...);
  }
  template <class B, class... R>
    requires Aggregation<A, B> && (weighs_tokens) &&
             requires(policy_type& p, B const& b, completion_gradients<value_type> given,
                      R&&... reference) { p.backward(b, given, reference...); }
  void backward(B const& batch, completion_gradients<value_type> given, R&&... reference) {
    if (given.token_weight.empty()) {
      find_weights(batch);
      given.token_weight = weight_;
    }
    policy_.value.backward(batch, given, reference...);
  }

  /// Of the aggregation, and of what results depend on of the policy besides what is trained.
  [[nodiscard]] std::uint64_t identity() {
    fingerprint out;
    out.add("aggregated").add(identity_of_base(policy_.value));
    if constexpr (detail::identified<A const>) {
      out.add(static_cast<std::uint64_t>(aggregation_.identity()));
    }
    return out.value();
  }

  // Forwarded as they are.

  [[nodiscard]] auto parameters()
    requires detail::has_parameters<policy_type>
  {
    return policy_.value.parameters();
  }
  void sample(std::span<std::uint32_t const> prompts, sampling_options const& how,
              random_address const& from, token_table& into, std::span<std::uint32_t> ids)
    requires SamplingPolicy<policy_type>
  {
    policy_.value.sample(prompts, how, from, into, ids);
  }
  void use(executor threads)
    requires requires(policy_type& p) { p.use(threads); }
  {
    policy_.value.use(threads);
  }
  void finish_backward()
    requires requires(policy_type& p) { p.finish_backward(); }
  {
    policy_.value.finish_backward();
  }
  void clear_gradient()
    requires requires(policy_type& p) { p.clear_gradient(); }
  {
    policy_.value.clear_gradient();
  }
  void parameters_moved()
    requires requires(policy_type& p) { p.parameters_moved(); }
  {
    policy_.value.parameters_moved();
  }
  [[nodiscard]] bool same_completion(std::uint32_t a, std::uint32_t b) const
    requires requires(policy_type const& p) { bool{p.same_completion(a, b)}; }
  {
    return policy_.value.same_completion(a, b);
  }
  template <class B>
  void group_tokens(B const& batch, std::vector<std::size_t>& out)
    requires requires(policy_type& p) { p.group_tokens(batch, out); }
  {
    policy_.value.group_tokens(batch, out);
  }

  template <class B>
    requires TokenReference<policy_type, B>
  void token_offsets(B const& batch, std::vector<std::size_t>& out) {
    policy_.value.token_offsets(batch, out);
  }
  template <class B>
    requires TokenReference<policy_type, B>
  void token_log_prob(B const& batch, std::span<value_type> out) {
    policy_.value.token_log_prob(batch, out);
  }
  template <class B>
    requires TokenPolicy<policy_type, B>
  void token_backward(B const& batch, std::span<value_type const> coefficient) {
    policy_.value.token_backward(batch, coefficient);
  }

 private:
  template <class B>
  void find_weights(B const& batch) {
    policy_.value.token_offsets(batch, token_offset_);
    weight_.resize(token_offset_.back());
    aggregation_.weights(batch, std::span<std::size_t const>(token_offset_),
                         std::span<double>(weight_));
  }

  void add_up(std::span<value_type> out) const {
    for (std::size_t i = 0; i != out.size(); ++i) {
      double sum = 0;
      for (std::size_t t = token_offset_[i]; t != token_offset_[i + 1]; ++t) {
        if (weight_[t] != 0) sum += weight_[t] * static_cast<double>(token_[t]);
      }
      out[i] = static_cast<value_type>(sum);
    }
  }

  detail::held<P> policy_;
  A aggregation_;
  std::vector<std::size_t> token_offset_;
  std::vector<double> weight_;
  std::vector<value_type> token_;
};

template <class P, class A>
aggregated(P, A) -> aggregated<P, A>;

}  // namespace prefer::inline v0_1
