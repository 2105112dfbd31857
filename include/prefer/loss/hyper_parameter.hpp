// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <type_traits>

#include <prefer/loss/loss.hpp>

namespace prefer::inline v0_1 {

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
[[nodiscard]] constexpr double hyper_parameter_or(L const& loss, char const* wanted,
                                                  double otherwise) {
  double out = otherwise;
  bool found = false;
  for_each_hyper_parameter(loss, [&](char const* name, auto const& value) {
    if (found || !same_name(name, wanted)) return;
    out = value;
    found = true;
  });
  return out;
}

/// A visitor of hyper-parameters that counts those called beta. A type with a name: nvcc's front end does not survive a
/// generic lambda in the initialiser of a variable template.
struct beta_counter {
  int count = 0;
  constexpr void operator()(char const* name, auto const& /*value*/) {
    if (same_name(name, "beta")) ++count;
  }
};

template <class L>
[[nodiscard]] constexpr int count_betas(L const& loss) {
  beta_counter counter;
  for_each_hyper_parameter(loss, counter);
  return counter.count;
}

}  // namespace detail

/// A loss with a hyper-parameter beta, its own or that of its parts.
template <class L>
concept HasBeta = Loss<L> && std::default_initializable<L> && (detail::count_betas(L{}) > 0);

/// A loss with one beta in all, which a rule for a batch's or a pair's beta can set.
template <class L>
concept HasOneBeta = HasBeta<L> && (detail::count_betas(L{}) == 1);

/// Sets beta in a loss and in every part of a composed one; returns how many were set.
///
/// Errors  precondition_error for a value that one of them does not take; then none is set
template <Loss L>
constexpr int set_beta(L& loss, double beta) {
  L changed = loss;
  int count = 0;
  for_each_hyper_parameter(changed, [&](char const* name, auto& value) {
    if (!detail::same_name(name, "beta")) return;
    value = beta;
    ++count;
  });
  expects_hyper_parameters_in_range(changed);
  loss = changed;
  return count;
}

/// The beta of a loss, or of the first part that has one; 1 for a loss without beta.
template <Loss L>
[[nodiscard]] constexpr double beta_of(L const& loss) {
  return detail::hyper_parameter_or(loss, "beta", 1.0);
}

}  // namespace prefer::inline v0_1
