// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/batch/token_table.hpp>
#include <prefer/expects.hpp>
#include <prefer/parallel/executor.hpp>
#include <prefer/policy/completion_outputs.hpp>
#include <prefer/policy/group_tokens.hpp>
#include <prefer/policy/identity.hpp>
#include <prefer/policy/parameter.hpp>
#include <prefer/policy/policy.hpp>
#include <prefer/policy/sampling_policy.hpp>
#include <prefer/policy/token_policy.hpp>
#include <prefer/random/philox.hpp>

namespace prefer::inline v0_1 {

namespace detail {

template <class P>
concept log_prob_is_per_token = requires { requires P::divides_by_length; };

}  // namespace detail

/// A policy behind a handle, so that what is made of it is compiled once for all policies: a trainer of each loss of the
/// catalogue, say. A call through it costs one jump, which beside a forward pass is nothing.
///
///   prefer::any_policy<float> policy(model);
///   prefer::any_reference<float> reference(start, model);
///   prefer::trainer run(policy, prefer::dpo{}, reference, data);
///
/// Two pointers; it does not own the policy, which outlives it. What a policy may leave out is here with the trainer's own
/// default, so that a run has the same bits, and writes the same checkpoints, as one on the policy itself. What it gives is
/// known when the program runs: ask `outputs()`, `gives_tokens()` and `samples()` before a training of hours, since a trainer
/// of this type compiles for every loss. It has no logits.
///
/// Errors  precondition_error for what the policy does not give; those of the policy
template <std::floating_point T>
class any_policy {
 public:
  using value_type = T;
  /// All that some policy gives.
  static constexpr completion_output_set gives =
      completion_output::token_log_prob | completion_output::divergence |
      completion_output::alignment | completion_output::perturbed | completion_output::entropy |
      completion_output::mean_logit | completion_output::token_accuracy | completion_output::value;
  /// It may, so a cache is made of the policy itself.
  static constexpr bool depends_on_draw = true;

  template <class P>
    requires Policy<P, choice_batch> && (!std::same_as<P, any_policy>)
  explicit any_policy(P& policy) : policy_(&policy), calls_(&calls_of<P>) {
    static_assert(std::same_as<typename P::value_type, T> && std::same_as<parameter_type_t<P>, T>,
                  "prefer: any_policy<T> takes a policy whose values and parameters are T");
    static_assert(!detail::log_prob_is_per_token<P>,
                  "prefer: log_prob of this policy is per token, which any_policy cannot say; give "
                  "the trainer the policy itself");
  }
  // clang-format off
  template <class P>
  any_policy(P const&&) = delete;  // prefer: the policy outlives the handle; give it a name
  // clang-format on

  /// What the policy gives of a batch besides log_prob, some of it only against a reference.
  [[nodiscard]] completion_output_set outputs() const { return calls_->outputs; }
  /// Whether it is a TokenPolicy.
  [[nodiscard]] bool gives_tokens() const { return calls_->tokens; }
  /// Whether it is a SamplingPolicy.
  [[nodiscard]] bool samples() const { return calls_->samples; }
  /// Whether the handle is to this policy.
  [[nodiscard]] bool is(void const* policy) const { return policy_ == policy; }

  void log_prob(choice_batch const& batch, std::span<T> out) {
    calls_->log_prob(policy_, batch, out);
  }
  void backward(choice_batch const& batch, std::span<T const> coefficient) {
    calls_->backward(policy_, batch, coefficient);
  }
  void evaluate(choice_batch const& batch, completion_outputs<T> const& wanted) {
    calls_->evaluate(policy_, batch, wanted);
  }
  void backward(choice_batch const& batch, completion_gradients<T> const& given) {
    calls_->backward_all(policy_, batch, given);
  }
  /// Against a reference that was put behind a handle together with this policy.
  template <class R>
    requires requires(R& r, any_policy& p, choice_batch const& b, completion_outputs<T> const& w) {
      r.forward_pass_of(p, b, w);
    }
  void evaluate(choice_batch const& batch, completion_outputs<T> const& wanted, R& reference) {
    reference.forward_pass_of(*this, batch, wanted);
  }
  template <class R>
    requires requires(R& r, any_policy& p, choice_batch const& b,
                      completion_gradients<T> const& g) { r.backward_pass_of(p, b, g); }
  void backward(choice_batch const& batch, completion_gradients<T> const& given, R& reference) {
    reference.backward_pass_of(*this, batch, given);
  }

  void token_offsets(choice_batch const& batch, std::vector<std::size_t>& out) {
    calls_->token_offsets(policy_, batch, out);
  }
  void token_log_prob(choice_batch const& batch, std::span<T> out) {
    calls_->token_log_prob(policy_, batch, out);
  }
  void token_backward(choice_batch const& batch, std::span<T const> coefficient) {
    calls_->token_backward(policy_, batch, coefficient);
  }
  void group_tokens(choice_batch const& batch, std::vector<std::size_t>& out) {
    calls_->group_tokens(policy_, batch, out);
  }

  [[nodiscard]] std::vector<parameter<T>> parameters() { return calls_->parameters(policy_); }
  void finish_backward() { calls_->finish_backward(policy_); }
  void clear_gradient(executor const& threads = {}) { calls_->clear_gradient(policy_, threads); }
  void parameters_moved() { calls_->parameters_moved(policy_); }
  void use(executor threads) { calls_->use(policy_, threads); }
  [[nodiscard]] std::uint64_t identity() { return calls_->identity(policy_); }
  [[nodiscard]] bool same_completion(std::uint32_t a, std::uint32_t b) const {
    return calls_->same_completion(policy_, a, b);
  }
  void sample(std::span<std::uint32_t const> prompts, sampling_options const& how,
              random_address const& from, token_table& into, std::span<std::uint32_t> ids) {
    calls_->sample(policy_, prompts, how, from, into, ids);
  }

 private:
  struct calls {
    completion_output_set outputs;
    bool tokens;
    bool samples;
    void (*log_prob)(void*, choice_batch const&, std::span<T>);
    void (*backward)(void*, choice_batch const&, std::span<T const>);
    void (*evaluate)(void*, choice_batch const&, completion_outputs<T> const&);
    void (*backward_all)(void*, choice_batch const&, completion_gradients<T> const&);
    void (*token_offsets)(void*, choice_batch const&, std::vector<std::size_t>&);
    void (*token_log_prob)(void*, choice_batch const&, std::span<T>);
    void (*token_backward)(void*, choice_batch const&, std::span<T const>);
    void (*group_tokens)(void*, choice_batch const&, std::vector<std::size_t>&);
    std::vector<parameter<T>> (*parameters)(void*);
    void (*finish_backward)(void*);
    void (*clear_gradient)(void*, executor const&);
    void (*parameters_moved)(void*);
    void (*use)(void*, executor);
    std::uint64_t (*identity)(void*);
    bool (*same_completion)(void const*, std::uint32_t, std::uint32_t);
    void (*sample)(void*, std::span<std::uint32_t const>, sampling_options const&,
                   random_address const&, token_table&, std::span<std::uint32_t>);
  };

  template <class P>
  static P& as(void* policy) {
    return *static_cast<P*>(policy);
  }
  [[noreturn]] static void lacks(char const* what) {
    detail::broken(std::string("any_policy: this policy has no ") + what);
  }

  template <class P>
  static constexpr calls calls_of = {
      .outputs = outputs_of<P>(),
      .tokens = TokenPolicy<P, choice_batch>,
      .samples = SamplingPolicy<P>,
      .log_prob = [](void* p, choice_batch const& b,
                     std::span<T> out) { as<P>(p).log_prob(b, out); },
      .backward = [](void* p, choice_batch const& b,
                     std::span<T const> given) { as<P>(p).backward(b, given); },
      .evaluate = [](void* p, choice_batch const& b,
                     completion_outputs<T> const& wanted) { forward_pass(as<P>(p), b, wanted); },
      .backward_all =
          [](void* p, choice_batch const& b, completion_gradients<T> const& given) {
            backward_pass(as<P>(p), b, given);
          },
      .token_offsets =
          []([[maybe_unused]] void* p, [[maybe_unused]] choice_batch const& b,
             [[maybe_unused]] std::vector<std::size_t>& out) {
            if constexpr (detail::gives_token_offsets<P, choice_batch>) {
              as<P>(p).token_offsets(b, out);
            } else {
              lacks("token_offsets");
            }
          },
      .token_log_prob =
          []([[maybe_unused]] void* p, [[maybe_unused]] choice_batch const& b,
             [[maybe_unused]] std::span<T> out) {
            if constexpr (detail::gives_token_log_prob<P, choice_batch>) {
              as<P>(p).token_log_prob(b, out);
            } else {
              lacks("token_log_prob");
            }
          },
      .token_backward =
          []([[maybe_unused]] void* p, [[maybe_unused]] choice_batch const& b,
             [[maybe_unused]] std::span<T const> given) {
            if constexpr (detail::takes_token_coefficients<P, choice_batch>) {
              as<P>(p).token_backward(b, given);
            } else {
              lacks("token_backward");
            }
          },
      .group_tokens =
          [](void* p, choice_batch const& b, std::vector<std::size_t>& out) {
            detail::count_group_tokens(as<P>(p), b, out);
          },
      .parameters = [](void* p) -> std::vector<parameter<T>> { return as<P>(p).parameters(); },
      .finish_backward =
          []([[maybe_unused]] void* p) {
            if constexpr (requires(P& policy) { policy.finish_backward(); }) {
              as<P>(p).finish_backward();
            }
          },
      .clear_gradient =
          [](void* p, [[maybe_unused]] executor const& threads) {
            if constexpr (requires(P& policy) { policy.clear_gradient(); }) {
              as<P>(p).clear_gradient();
            } else {
              std::vector<parameter<T>> const all = as<P>(p).parameters();
              zero_gradients(std::span<parameter<T> const>(all), threads);
            }
          },
      .parameters_moved =
          []([[maybe_unused]] void* p) {
            if constexpr (requires(P& policy) { policy.parameters_moved(); }) {
              as<P>(p).parameters_moved();
            }
          },
      .use =
          []([[maybe_unused]] void* p, [[maybe_unused]] executor threads) {
            if constexpr (requires(P& policy) { policy.use(threads); }) as<P>(p).use(threads);
          },
      .identity = [](void* p) { return identity_of_base(as<P>(p)); },
      .same_completion =
          []([[maybe_unused]] void const* p, std::uint32_t a, std::uint32_t b) {
            if constexpr (requires(P const& policy) { bool{policy.same_completion(a, b)}; }) {
              return static_cast<P const*>(p)->same_completion(a, b);
            } else {
              return a == b;
            }
          },
      .sample =
          []([[maybe_unused]] void* p, [[maybe_unused]] std::span<std::uint32_t const> prompts,
             [[maybe_unused]] sampling_options const& how,
             [[maybe_unused]] random_address const& from, [[maybe_unused]] token_table& into,
             [[maybe_unused]] std::span<std::uint32_t> ids) {
            if constexpr (SamplingPolicy<P>) {
              as<P>(p).sample(prompts, how, from, into, ids);
            } else {
              lacks("sample");
            }
          }};

  void* policy_;
  calls const* calls_;
};

}  // namespace prefer::inline v0_1
