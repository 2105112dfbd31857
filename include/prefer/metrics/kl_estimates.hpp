// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <type_traits>

#include <prefer/batch/columns.hpp>
#include <prefer/batch/statistics.hpp>
#include <prefer/batch/sum_and_count.hpp>
#include <prefer/expects.hpp>
#include <prefer/scalar/kl_estimators.hpp>

namespace prefer::inline v0_1 {

/// The three estimates, as sums over completions.
struct kl_estimates {
  sum_and_count k1 = {};  ///< nats
  sum_and_count k2 = {};
  sum_and_count k3 = {};

  friend kl_estimates operator+(kl_estimates const& a, kl_estimates const& b) {
    return {a.k1 + b.k1, a.k2 + b.k2, a.k3 + b.k3};
  }
};

namespace detail {

struct kl_of_example {
  constexpr auto operator()(auto const& example) const {
    auto const r = example.log_ratio();
    using S = std::remove_const_t<decltype(r)>;
    return std::array<S, 3>{kl_k1(r), kl_k2(r), kl_k3(r)};
  }
};

/// The three estimates, added up over log-ratios, as of `count` completions.
template <class C>
[[nodiscard]] kl_estimates sum_of_kl(C const& policy, C const& reference, double count,
                                     char const* function) {
  expects_size(reference.size(), policy.size(), function, "reference");
  basic_unpaired_columns<C> const batch{.policy = policy, .reference = reference};
  auto const sums = batch_statistics(batch, function).sums(kl_of_example{});
  return {{sums[0], count}, {sums[1], count}, {sums[2], count}};
}

}  // namespace detail

/// KL(policy || reference) per completion, from summed log-probabilities of completions that the policy wrote.
///
/// Errors  precondition_error for sizes that disagree
template <class Policy, class Reference>
[[nodiscard]] kl_estimates estimate_kl(Policy const& policy, Reference const& reference) {
  return detail::sum_of_kl<detail::column_of_numbers<Policy>>(
      policy, reference, static_cast<double>(policy.size()), "estimate_kl");
}

/// The same from log-probabilities of tokens: the estimators are added up over the tokens of a completion.
/// Completion i is [offset[i], offset[i + 1]).
///
/// k1 comes out as from sums. k2 and k3 are other numbers; k3 is still unbiased, because the KL of sequences is
/// the expected sum over positions of the KL of what may come next.
///
/// Errors  precondition_error for sizes that disagree
template <class Policy, class Reference>
[[nodiscard]] kl_estimates estimate_token_kl(Policy const& policy, Reference const& reference,
                                             std::span<std::size_t const> offset) {
  expects(!offset.empty(),
          "estimate_token_kl: offset is empty; it has one element more than there "
          "are completions");
  expects_size(policy.size(), offset.back(), "estimate_token_kl", "policy");
  expects_size(offset.front(), 0, "estimate_token_kl",
               "the part of policy before the first completion");
  for (std::size_t i = 0; i + 1 < offset.size(); ++i) {
    if (offset[i] <= offset[i + 1]) continue;
    detail::broken("estimate_token_kl: offset falls from " + std::to_string(offset[i]) + " to " +
                   std::to_string(offset[i + 1]));
  }
  return detail::sum_of_kl<detail::column_of_numbers<Policy>>(
      policy, reference, static_cast<double>(offset.size() - 1), "estimate_token_kl");
}

}  // namespace prefer::inline v0_1
