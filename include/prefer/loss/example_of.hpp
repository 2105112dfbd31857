// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstdint>

#include <prefer/loss/parts.hpp>

namespace prefer::inline v0_1 {

/// What an example of a loss is, which a loss says with a member,
///
///   static constexpr auto example = prefer::example_of::token;
///
/// and whose default is a completion (or a pair or a list of them). Of a loss over tokens the log-probabilities of a
/// record are a token's, and the mean is over the tokens of the batch. Whoever calls `evaluate` fills the columns with
/// tokens; the trainer does, from a TokenPolicy.
enum class example_of : std::uint8_t { completion, token };

namespace detail {

/// What a loss says, else its first part.
template <class L>
[[nodiscard]] constexpr example_of find_example();

[[nodiscard]] constexpr example_of find_example_of_parts(part_list<>) {
  return example_of::completion;
}
template <class First, class... Rest>
[[nodiscard]] constexpr example_of find_example_of_parts(part_list<First, Rest...>) {
  return find_example<First>();
}
template <class L>
[[nodiscard]] constexpr example_of find_example() {
  if constexpr (requires {
                  { L::example } -> std::convertible_to<example_of>;
                }) {
    return L::example;
  } else {
    return find_example_of_parts(parts_of_t<L>{});
  }
}

template <example_of Example, class... P>
[[nodiscard]] constexpr bool examples_are(part_list<P...>) {
  return ((find_example<P>() == Example) && ...);
}

}  // namespace detail

/// Whether an example of this loss is a token.
template <class L>
inline constexpr bool is_over_tokens = detail::find_example<L>() == example_of::token;

}  // namespace prefer::inline v0_1
