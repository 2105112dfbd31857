// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <type_traits>
#include <vector>

namespace prefer::test {

/// The members, all of them double, of a state or a memory, and the one that has these members.
template <class State>
[[nodiscard]] std::vector<double> members_of(State const& state) {
  if constexpr (std::is_empty_v<State>) {
    return {};
  } else {
    auto const members = std::bit_cast<std::array<double, sizeof(State) / sizeof(double)>>(state);
    return {members.begin(), members.end()};
  }
}
template <class State>
[[nodiscard]] State state_with(std::vector<double> const& numbers) {
  if constexpr (std::is_empty_v<State>) {
    return {};
  } else {
    std::array<double, sizeof(State) / sizeof(double)> members{};
    for (std::size_t i = 0; i < members.size(); ++i) members[i] = numbers.at(i);
    return std::bit_cast<State>(members);
  }
}

}  // namespace prefer::test
