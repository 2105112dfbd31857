// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <prefer/parallel/executor.hpp>
#include <prefer/reference/reference.hpp>

namespace prefer::inline v0_1 {

/// A policy as it is now, copied once and never changed.
///
///   auto reference = prefer::frozen(policy);
///
/// Source  the reference policy of Rafailov et al. 2023, arXiv:2305.18290, section 3
template <class P>
class frozen {
  static constexpr bool identified = detail::identified_reference<P>;

 public:
  using value_type = typename P::value_type;

  explicit frozen(P policy) : policy_(std::move(policy)) {
    if constexpr (identified) identity_ = identity_of_reference(policy_);
  }

  template <class B>
  void log_prob(B const& batch, std::span<value_type> out) {
    policy_.log_prob(batch, out);
  }
  template <class B>
  void logit(B const& batch, std::span<value_type> out)
    requires requires(P& p) { p.logit(batch, out); }
  {
    policy_.logit(batch, out);
  }
  template <class B>
  void token_offsets(B const& batch, std::vector<std::size_t>& out)
    requires requires(P& p) { p.token_offsets(batch, out); }
  {
    policy_.token_offsets(batch, out);
  }
  template <class B>
  void token_log_prob(B const& batch, std::span<value_type> out)
    requires requires(P& p) { p.token_log_prob(batch, out); }
  {
    policy_.token_log_prob(batch, out);
  }
  void use(executor threads)
    requires requires(P& p) { p.use(threads); }
  {
    policy_.use(threads);
  }

  [[nodiscard]] P const& policy() const { return policy_; }

  /// Of every number of the copy, and of what it has besides them; what it was when it was made.
  [[nodiscard]] std::uint64_t identity() const
    requires identified
  {
    return identity_;
  }

 private:
  P policy_;
  std::uint64_t identity_ = 0;
};

}  // namespace prefer::inline v0_1
