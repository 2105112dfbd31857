// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <prefer/reference/reference.hpp>

namespace prefer::inline v0_1 {

namespace detail {

template <class P, class B>
concept gives_log_prob_without_adapter =
    requires(P& policy, B const& batch, std::span<typename P::value_type> out) {
      policy.log_prob_without_adapter(batch, out);
    };

template <class P, class B>
concept gives_token_log_prob_without_adapter =
    requires(P& policy, B const& batch, std::span<typename P::value_type> out,
             std::vector<std::size_t>& offset) {
      policy.token_offsets(batch, offset);
      policy.token_log_prob_without_adapter(batch, out);
    };

}  // namespace detail

/// The policy that trains, with its adapter left out, as its own reference: the base is in memory once.
///
///   prefer::without_adapter reference(policy);
///   prefer::trainer run(policy, prefer::dpo{}, reference, data, {.reference_is_start = true});
///
/// Asked for   `policy.log_prob_without_adapter(batch, out)`, one number per completion in nats; for losses over tokens
///             `policy.token_log_prob_without_adapter(batch, out)`
/// Semantics   what these give does not depend on what trains: the base is frozen, and an adapter that is left out
///             changes nothing. The trainer asks a reference before the policy's own forward pass, so the two may share
///             activations' memory.
///
/// The policy is borrowed and outlives the reference. It has no `policy()` to ask for whole distributions, as `frozen` has:
/// those would be of the policy with its adapter. A policy that can be asked for its own without knows this type by
/// `policy_with_adapter()`.
template <class P>
class without_adapter {
 public:
  using value_type = typename P::value_type;
  static constexpr bool moves = false;
  static constexpr bool depends_on_draw = DependsOnDraw<P>;

  explicit without_adapter(P& policy) : policy_(&policy) {}

  template <class B>
    requires detail::gives_log_prob_without_adapter<P, B>
  void log_prob(B const& batch, std::span<value_type> out) {
    policy_->log_prob_without_adapter(batch, out);
  }
  template <class B>
    requires detail::gives_token_log_prob_without_adapter<P, B>
  void token_offsets(B const& batch, std::vector<std::size_t>& out) {
    policy_->token_offsets(batch, out);
  }
  template <class B>
    requires detail::gives_token_log_prob_without_adapter<P, B>
  void token_log_prob(B const& batch, std::span<value_type> out) {
    policy_->token_log_prob_without_adapter(batch, out);
  }

  [[nodiscard]] P const& policy_with_adapter() const { return *policy_; }

  /// The policy's, which stands for its base.
  [[nodiscard]] std::uint64_t identity() const
    requires requires(P const& p) {
      { p.identity() } -> std::convertible_to<std::uint64_t>;
    }
  {
    return static_cast<std::uint64_t>(policy_->identity());
  }

 private:
  P* policy_;
};

}  // namespace prefer::inline v0_1
