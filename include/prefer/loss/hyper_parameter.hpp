// SPDX-License-Identifier: MIT
#pragma once

#include <type_traits>

#include <prefer/loss/loss.hpp>

namespace prefer {

namespace detail {

constexpr bool same_name(char const* a, char const* b) {
  while (*a != '\0' && *a == *b) {
    ++a;
    ++b;
  }
  return *a == *b;
}

/// Calls visit(name, value) for each hyper-parameter; nothing for a loss that names none.
template <class L, class Visit>
constexpr void visit_parameters(L& loss, Visit&& visit) {
  if constexpr (requires { std::remove_const_t<L>::parameters(loss, visit); }) {
    std::remove_const_t<L>::parameters(loss, visit);
  }
}

/// The hyper-parameter of this name, of the first part of a composed loss that has it; else `otherwise`.
template <Loss L>
[[nodiscard]] constexpr double parameter_or(L const& loss, char const* wanted, double otherwise) {
  double out = otherwise;
  bool found = false;
  visit_parameters(loss, [&](char const* name, auto const& value) {
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
[[nodiscard]] constexpr bool names_beta() {
  L loss{};
  beta_finder finder;
  visit_parameters(loss, finder);
  return finder.found;
}

template <class L>
inline constexpr bool has_parameter_beta = names_beta<L>();

}  // namespace detail

/// Sets beta in a loss and in every part of a composed one; returns how many were set.
template <Loss L>
constexpr int set_beta(L& loss, double beta) {
  int count = 0;
  detail::visit_parameters(loss, [&](char const* name, auto& value) {
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
