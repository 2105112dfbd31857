// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <type_traits>

#include <prefer/loss/loss.hpp>

namespace prefer {

/// Calls `visit(name, value)` for each hyper-parameter, those of a composed loss's parts before its own; `value` converts
/// from and to double. Nothing for a loss that names none.
template <class L>
  requires Loss<std::remove_const_t<L>>
constexpr void for_each_parameter(L& loss, auto&& visit) {
  using plain = std::remove_const_t<L>;
  detail::for_each_part(loss, [&](auto, auto& part) { for_each_parameter(part, visit); });
  if constexpr (requires { plain::parameters(loss, visit); }) plain::parameters(loss, visit);
}

namespace detail {

constexpr bool same_name(char const* a, char const* b) {
  while (*a != '\0' && *a == *b) {
    ++a;
    ++b;
  }
  return *a == *b;
}

/// The hyper-parameter of this name, of the first part of a composed loss that has it; else `otherwise`.
template <Loss L>
[[nodiscard]] constexpr double parameter_or(L const& loss, char const* wanted, double otherwise) {
  double out = otherwise;
  bool found = false;
  for_each_parameter(loss, [&](char const* name, auto const& value) {
    if (found || !same_name(name, wanted)) return;
    out = value;
    found = true;
  });
  return out;
}

/// A visitor of parameters that looks for one called beta. A type with a name: nvcc's front end does not survive a
/// generic lambda in the initialiser of a variable template.
struct beta_finder {
  bool found = false;
  constexpr void operator()(char const* name, auto const& /*value*/) {
    found = found || same_name(name, "beta");
  }
};

template <class L>
[[nodiscard]] constexpr bool names_beta(L const& loss) {
  beta_finder finder;
  for_each_parameter(loss, finder);
  return finder.found;
}

}  // namespace detail

/// A loss with a hyper-parameter beta, its own or a part's.
template <class L>
concept HasBeta = Loss<L> && std::default_initializable<L> && detail::names_beta(L{});

/// Sets beta in a loss and in every part of a composed one; returns how many were set.
template <Loss L>
constexpr int set_beta(L& loss, double beta) {
  int count = 0;
  for_each_parameter(loss, [&](char const* name, auto& value) {
    if (!detail::same_name(name, "beta")) return;
    value = beta;
    ++count;
  });
  return count;
}

/// The beta of a loss, or of the first part that has one; 1 for a loss without beta.
template <Loss L>
[[nodiscard]] constexpr double beta_of(L const& loss) {
  return detail::parameter_or(loss, "beta", 1.0);
}

}  // namespace prefer
