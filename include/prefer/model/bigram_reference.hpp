// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <type_traits>
#include <utility>

#include <prefer/dialect.hpp>

namespace prefer::inline v0_1 {

template <std::floating_point T>
class bigram;

namespace detail {

template <class R>
concept wraps_policy = requires(R const& reference) { reference.policy(); };

template <class R, class T>
[[nodiscard]] consteval bool has_bigram_inside() {
  using type = std::remove_cvref_t<R>;
  if constexpr (std::same_as<type, bigram<T>>) {
    return true;
  } else if constexpr (wraps_policy<type>) {
    return has_bigram_inside<decltype(std::declval<type const&>().policy()), T>();
  } else {
    return false;
  }
}

}  // namespace detail

/// A bigram<T>, or something whose `policy()` gives one, however deep: frozen(policy),
/// frozen(aggregated(policy, ...)). Such a reference can be asked for whole distributions.
template <class R, class T>
concept BigramReference = detail::has_bigram_inside<R, T>();

/// The bigram<T> inside of a reference.
template <class T, BigramReference<T> R>
[[nodiscard]] bigram<T> const& bigram_of(R const& reference) {
  if constexpr (std::same_as<R, bigram<T>>) {
    return reference;
  } else {
    return bigram_of<T>(reference.policy());
  }
}

}  // namespace prefer::inline v0_1
