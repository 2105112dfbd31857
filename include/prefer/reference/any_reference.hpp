// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/expects.hpp>
#include <prefer/file/archive.hpp>
#include <prefer/file/archive_writer.hpp>
#include <prefer/parallel/executor.hpp>
#include <prefer/policy/any_policy.hpp>
#include <prefer/policy/completion_outputs.hpp>
#include <prefer/policy/policy.hpp>
#include <prefer/policy/token_policy.hpp>
#include <prefer/reference/reference.hpp>

namespace prefer::inline v0_1 {

/// A reference behind a handle, together with the policy that is compared with it: see any_policy.
///
///   prefer::any_policy<float> policy(model);
///   prefer::any_reference<float> reference(start, model);
///
/// The policy stands beside it because a policy says some things only against a reference of a certain type (divergence,
/// perturbed_*), and a reference that moves follows a policy of a certain type. Neither is owned; both outlive the handle.
///
/// Errors  precondition_error for what the reference does not give, and for another policy than the one that it was made
///         with; those of reference and policy
template <std::floating_point T>
class any_reference {
 public:
  using value_type = T;
  /// They may, so a cache is made of the reference itself.
  static constexpr bool moves = true;
  static constexpr bool depends_on_draw = true;

  template <class R, class P>
    requires Reference<R, choice_batch> && Policy<P, choice_batch>
  any_reference(R& reference, P& policy)
      : reference_(&reference), policy_(&policy), calls_(&calls_of<R, P>) {
    static_assert(
        std::same_as<typename R::value_type, T> && std::same_as<typename P::value_type, T>,
        "prefer: any_reference<T> takes a reference and a policy whose values are T");
  }
  // clang-format off
  template <class R, class P>
  any_reference(R const&&, P const&) = delete;  // prefer: the reference outlives the handle; give it a name
  // clang-format on

  /// Whether it is a TokenReference.
  [[nodiscard]] bool gives_tokens() const { return calls_->tokens; }

  void log_prob(choice_batch const& batch, std::span<T> out) {
    calls_->log_prob(reference_, batch, out);
  }
  void token_offsets(choice_batch const& batch, std::vector<std::size_t>& out) {
    calls_->token_offsets(reference_, batch, out);
  }
  void token_log_prob(choice_batch const& batch, std::span<T> out) {
    calls_->token_log_prob(reference_, batch, out);
  }
  void after_step(any_policy<T>& policy, std::uint64_t step) {
    expects_policy(policy);
    calls_->after_step(reference_, policy_, step);
  }
  void save(archive_writer& file) { calls_->save(reference_, file); }
  void load(archive const& file) { calls_->load(reference_, file); }
  [[nodiscard]] std::uint64_t identity() { return calls_->identity(reference_); }
  [[nodiscard]] bool normalised() const { return calls_->normalised(reference_); }
  void use(executor threads) { calls_->use(reference_, threads); }

  // For any_policy.

  void forward_pass_of(any_policy<T>& policy, choice_batch const& batch,
                       completion_outputs<T> const& wanted) {
    expects_policy(policy);
    calls_->forward_pass(policy_, batch, wanted, reference_);
  }
  void backward_pass_of(any_policy<T>& policy, choice_batch const& batch,
                        completion_gradients<T> const& given) {
    expects_policy(policy);
    calls_->backward_pass(policy_, batch, given, reference_);
  }

 private:
  struct calls {
    bool tokens;
    void (*log_prob)(void*, choice_batch const&, std::span<T>);
    void (*token_offsets)(void*, choice_batch const&, std::vector<std::size_t>&);
    void (*token_log_prob)(void*, choice_batch const&, std::span<T>);
    void (*after_step)(void*, void*, std::uint64_t);
    void (*save)(void*, archive_writer&);
    void (*load)(void*, archive const&);
    std::uint64_t (*identity)(void*);
    bool (*normalised)(void const*);
    void (*use)(void*, executor);
    void (*forward_pass)(void*, choice_batch const&, completion_outputs<T> const&, void*);
    void (*backward_pass)(void*, choice_batch const&, completion_gradients<T> const&, void*);
  };

  template <class X>
  static X& as(void* object) {
    return *static_cast<X*>(object);
  }
  [[noreturn]] static void lacks(char const* what) {
    detail::broken(std::string("any_reference: this reference has no ") + what);
  }
  void expects_policy(any_policy<T> const& policy) const {
    expects(policy.is(policy_), "any_reference: it was made with another policy");
  }

  template <class R, class P>
  static constexpr calls calls_of = {
      .tokens = TokenReference<R, choice_batch>,
      .log_prob = [](void* r, choice_batch const& b,
                     std::span<T> out) { as<R>(r).log_prob(b, out); },
      .token_offsets =
          []([[maybe_unused]] void* r, [[maybe_unused]] choice_batch const& b,
             [[maybe_unused]] std::vector<std::size_t>& out) {
            if constexpr (detail::gives_token_offsets<R, choice_batch>) {
              as<R>(r).token_offsets(b, out);
            } else {
              lacks("token_offsets");
            }
          },
      .token_log_prob =
          []([[maybe_unused]] void* r, [[maybe_unused]] choice_batch const& b,
             [[maybe_unused]] std::span<T> out) {
            if constexpr (detail::gives_token_log_prob<R, choice_batch>) {
              as<R>(r).token_log_prob(b, out);
            } else {
              lacks("token_log_prob");
            }
          },
      .after_step =
          []([[maybe_unused]] void* r, [[maybe_unused]] void* p,
             [[maybe_unused]] std::uint64_t step) {
            if constexpr (requires { as<R>(r).after_step(as<P>(p), step); }) {
              as<R>(r).after_step(as<P>(p), step);
            }
          },
      .save =
          []([[maybe_unused]] void* r, [[maybe_unused]] archive_writer& file) {
            if constexpr (requires { as<R>(r).save(file); }) as<R>(r).save(file);
          },
      .load =
          []([[maybe_unused]] void* r, [[maybe_unused]] archive const& file) {
            if constexpr (requires { as<R>(r).load(file); }) as<R>(r).load(file);
          },
      .identity = [](void* r) { return identity_of_reference(as<R>(r)); },
      .normalised = [](void const* r) { return is_normalised(*static_cast<R const*>(r)); },
      .use =
          []([[maybe_unused]] void* r, [[maybe_unused]] executor threads) {
            if constexpr (requires { as<R>(r).use(threads); }) as<R>(r).use(threads);
          },
      .forward_pass = [](void* p, choice_batch const& b, completion_outputs<T> const& wanted,
                         void* r) { prefer::forward_pass(as<P>(p), b, wanted, as<R>(r)); },
      .backward_pass = [](void* p, choice_batch const& b, completion_gradients<T> const& given,
                          void* r) { prefer::backward_pass(as<P>(p), b, given, as<R>(r)); }};

  void* reference_;
  void* policy_;
  calls const* calls_;
};

}  // namespace prefer::inline v0_1
