// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include <prefer/dialect.hpp>

// What a unit pays for when it calls it, and not when it includes its header: decision 0043.

namespace prefer::inline v0_1 {

/// The argument of a template that has no choice to offer:
///
///   template <class = on_demand>
///   class basic_archive { ... };
///   using archive = basic_archive<>;
///
/// Of a template the compiler makes what a unit calls. Of a class or a function that is none it makes all that they
/// name, every member function of a vector among them, for every unit that includes them.
struct on_demand {};

/// A view of `count` elements in memory, of a vector's, or of `count` of a vector's from `begin` on.
///
/// What std::span converts from it checks against every concept of a contiguous range, for each type of element and
/// wherever the conversion is written; here that is done where the view is made.
template <class T>
[[nodiscard]] constexpr std::span<T const> view_of(T const* first, std::size_t count) {
  return {first, count};
}
template <class T>
[[nodiscard]] std::span<T const> view_of(std::vector<T> const& all) {
  return {all.data(), all.size()};
}
template <class T>
[[nodiscard]] std::span<T const> view_of(std::vector<T> const& all, std::size_t begin,
                                         std::size_t count) {
  return {all.data() + begin, count};
}

/// Puts numbers at the end of a vector: a span of them, or another vector.
template <class T, class Numbers>
void append(std::vector<T>& to, Numbers const& from) {
  to.insert(to.end(), from.begin(), from.end());
}

}  // namespace prefer::inline v0_1
