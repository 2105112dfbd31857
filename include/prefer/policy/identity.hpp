// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstdint>
#include <vector>

#include <prefer/file/fingerprint.hpp>
#include <prefer/policy/parameter.hpp>
#include <prefer/policy/policy.hpp>

namespace prefer::inline v0_1 {

namespace detail {

template <class P>
concept identified = requires(P& policy) {
  { policy.identity() } -> std::convertible_to<std::uint64_t>;
};

}  // namespace detail

/// Stands for what results depend on of a policy besides the tensors that train: its `identity()` where it has one, else
/// its frozen tensors, every number of them. 0 where there is nothing of the kind.
template <class P>
[[nodiscard]] std::uint64_t identity_of_base(P& policy) {
  if constexpr (detail::identified<P>) {
    return static_cast<std::uint64_t>(policy.identity());
  } else if constexpr (detail::has_parameters<P>) {
    fingerprint out;
    bool any = false;
    std::vector<parameter<parameter_type_t<P>>> const all = policy.parameters();
    for (auto const& each : all) {
      if (!each.frozen) continue;
      out.add(each.name).add(each.value);
      any = true;
    }
    return any ? out.value() : 0;
  } else {
    return 0;
  }
}

/// Stands for all that a policy's numbers depend on as it is now: its base, and name, shape and every number of the
/// tensors that train.
template <class P>
  requires detail::has_parameters<P>
[[nodiscard]] std::uint64_t identity_with_values(P& policy) {
  fingerprint out;
  out.add(identity_of_base(policy));
  std::vector<parameter<parameter_type_t<P>>> const all = policy.parameters();
  for (auto const& each : all) {
    if (each.frozen) continue;
    out.add(each.name).add(each.shape.sizes()).add(each.value);
  }
  return out.value();
}

}  // namespace prefer::inline v0_1
