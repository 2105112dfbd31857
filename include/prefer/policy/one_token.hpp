// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/batch/token_table.hpp>
#include <prefer/expects.hpp>
#include <prefer/parallel/executor.hpp>
#include <prefer/policy/identity.hpp>
#include <prefer/policy/policy.hpp>
#include <prefer/policy/sampling_policy.hpp>
#include <prefer/random/philox.hpp>

namespace prefer::inline v0_1 {

/// A policy over a finite set as one that writes: a completion is one token, the number of the choice. With it a table, a
/// log-linear policy or a recommender is trained online and by policy gradients, as a language model is.
///
///   prefer::token_table table;
///   prefer::one_token policy(prefer::tabular<double>(prompts, actions), table);
///   policy.policy();  // the table of logits
///
/// Of P it takes, besides what a Policy has, `completions()` and `log_probs(prompt, out)`. The token table is borrowed and
/// outlives it.
///
/// Errors  those of P, which finds a token out of range; precondition_error for a completion of several tokens
template <class P>
  requires Policy<P, choice_batch>
class one_token {
 public:
  using value_type = typename P::value_type;
  using parameter_type = parameter_type_t<P>;

  one_token(P policy, token_table const& table) : policy_(std::move(policy)), table_(&table) {}
  // clang-format off
  one_token(P, token_table const&&) = delete;  // prefer: the table outlives the policy; give it a name
  // clang-format on

  [[nodiscard]] P& policy() { return policy_; }
  [[nodiscard]] P const& policy() const { return policy_; }

  [[nodiscard]] std::vector<parameter<parameter_type>> parameters() { return policy_.parameters(); }
  void use(executor threads) {
    if constexpr (requires { policy_.use(threads); }) policy_.use(threads);
  }
  [[nodiscard]] std::uint64_t identity()
    requires detail::identified<P>
  {
    return static_cast<std::uint64_t>(policy_.identity());
  }
  void parameters_moved() {
    if constexpr (requires { policy_.parameters_moved(); }) policy_.parameters_moved();
  }

  void log_prob(choice_batch const& batch, std::span<value_type> out) {
    policy_.log_prob(of_choices(batch), out);
  }
  void backward(choice_batch const& batch, std::span<value_type const> coefficient) {
    policy_.backward(of_choices(batch), coefficient);
  }
  void finish_backward() {
    if constexpr (requires { policy_.finish_backward(); }) policy_.finish_backward();
  }
  void clear_gradient()
    requires requires(P& policy) { policy.clear_gradient(); }
  {
    policy_.clear_gradient();
  }
  void logit(choice_batch const& batch, std::span<value_type> out)
    requires LogitPolicy<P, choice_batch>
  {
    policy_.logit(of_choices(batch), out);
  }
  void backward_logit(choice_batch const& batch, std::span<value_type const> coefficient)
    requires LogitPolicy<P, choice_batch>
  {
    policy_.backward_logit(of_choices(batch), coefficient);
  }

  void token_offsets(choice_batch const& batch, std::vector<std::size_t>& out) const {
    table_->offsets(batch.completion, out);
  }
  void token_log_prob(choice_batch const& batch, std::span<value_type> out) {
    log_prob(batch, out);
  }
  void token_backward(choice_batch const& batch, std::span<value_type const> coefficient) {
    backward(batch, coefficient);
  }

  /// A completion for each prompt, see SamplingPolicy. What several prompts that follow one another are equal in is worked
  /// out once.
  void sample(std::span<std::uint32_t const> prompts, sampling_options const& how,
              random_address const& from, token_table& into, std::span<std::uint32_t> ids) const {
    expects_size(ids.size(), prompts.size(), "one_token::sample", "ids");
    expects(how.max_tokens > 0, "one_token::sample: max_tokens must be at least 1");
    std::vector<value_type> log_p(policy_.completions());
    token_sampler draw(how);
    random_address address = from;
    for (std::size_t i = 0; i != prompts.size(); ++i, ++address.index) {
      if (i == 0 || prompts[i] != prompts[i - 1]) {
        policy_.log_probs(prompts[i], std::span<value_type>(log_p));
        draw.take(std::span<value_type const>(log_p));
      }
      random_stream numbers(address);
      std::uint32_t const choice = draw.next(numbers);
      ids[i] = into.add(view_of(&choice, 1));
    }
  }

 private:
  // The same batch with the choices that its completions are.
  [[nodiscard]] choice_batch of_choices(choice_batch const& batch) {
    choice_.resize(batch.completions());
    for (std::size_t i = 0; i != choice_.size(); ++i) {
      auto const tokens = table_->tokens(batch.completion[i]);
      if (tokens.size() != 1) {
        detail::broken("one_token: completion " + std::to_string(batch.completion[i]) + " has " +
                       std::to_string(tokens.size()) + " tokens, expected 1");
      }
      choice_[i] = tokens[0];
    }
    choice_batch out = batch;
    out.completion = view_of(choice_);
    return out;
  }

  P policy_;
  token_table const* table_;
  std::vector<std::uint32_t> choice_;  // of the last batch
};

}  // namespace prefer::inline v0_1
