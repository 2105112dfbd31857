// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <string>
#include <type_traits>
#include <vector>

#include <prefer/batch/backend.hpp>
#include <prefer/batch/check_columns.hpp>
#include <prefer/batch/choices.hpp>
#include <prefer/batch/columns.hpp>
#include <prefer/batch/statistics.hpp>
#include <prefer/expects.hpp>
#include <prefer/policy/policy.hpp>
#include <prefer/reference/reference.hpp>
#include <prefer/scalar/scalar.hpp>

namespace prefer::inline v0_1 {

namespace detail {

inline constexpr double mass_tolerance = 1e-3;  // by which probabilities may miss 1

// Formulas over lists of all completions; named, because a device's compiler takes no lambda of the host.

/// The sum of the probabilities.
struct mass_of_list {
  constexpr auto operator()(auto const& list) const {
    auto mass = exp(list[0].log_prob);
    for (std::size_t i = 1; i < list.size(); ++i) mass = mass + exp(list[i].log_prob);
    return mass;
  }
};
/// 1 where the probabilities do not sum to 1.
struct incomplete_list {
  constexpr auto operator()(auto const& list) const {
    auto const excess = -1.0 + mass_of_list{}(list);
    using S = std::remove_const_t<decltype(excess)>;
    return where(select(excess < 0.0, -excess, excess) > mass_tolerance, S(1.0));
  }
};
/// KL(policy || reference). What the policy never writes counts 0, whatever the reference says of it.
struct kl_of_list {
  constexpr auto operator()(auto const& list) const {
    auto sum = weighted(exp(list[0].log_prob), list[0].log_ratio());
    for (std::size_t i = 1; i < list.size(); ++i) {
      sum = sum + weighted(exp(list[i].log_prob), list[i].log_ratio());
    }
    return sum;
  }
};

/// Refuses the first list whose probabilities do not sum to 1; `name(g)` is what list g is called. Its numbers leave the
/// backend here only.
template <class Columns, class Name>
void refuse_incomplete_list(Columns const& all, Name const& name) {
  auto const on = backend_of_batch(all);
  auto mass = on.room(all.size());
  (void)on.for_each_list(all, number_of_list{mass_of_list{}}, mass.result(), {});
  basic_unpaired_columns<typename std::remove_const_t<decltype(on)>::column> const lists{
      .policy = mass.view()};
  std::vector<double> const masses = on.numbers(lists, copied_number{});
  for (std::size_t g = 0; g < masses.size(); ++g) {
    if (!(std::abs(masses[g] - 1.0) > mass_tolerance)) continue;
    broken("kl_divergence: the probabilities of " + name(g) + " sum to " +
           std::to_string(masses[g]) +
           ", expected 1; the batch lists every completion of a prompt once");
  }
}

template <class Columns, class Name>
[[nodiscard]] double kl_of_lists(Columns const& all, Name const& name) {
  expects(all.size() > 0, "kl_divergence: the batch has no prompts");
  check_lists(all, 0, "kl_divergence");
  check_sizes(all, "kl_divergence");
  auto const on = backend_of_batch(all);
  auto const sum_over_lists = [&](auto const& formula) {
    return on.for_each_list(all, number_of_list{formula}, {}, {});
  };
  auto const [sum, lists] =
      on.read(std::array{sum_over_lists(kl_of_list{}), sum_over_lists(incomplete_list{})});
  if (lists > 0.0) refuse_incomplete_list(all, name);
  return sum / static_cast<double>(all.size());
}

}  // namespace detail

/// How far the policy is from the reference, exactly, where a prompt's completions can be listed.
///
///   KL = mean over prompts of sum_y exp(log_prob(y)) * log_ratio(y)
///
/// List g has every completion of one prompt once. A weight of 0 under the policy counts 0, whatever the reference says.
/// For text, whose completions cannot be listed, an estimate takes the mean log-ratio of completions that were drawn from
/// the policy.
///
/// Reads   policy and reference, on whatever backend they are; two sums are waited for
/// Units   nats; at least 0 up to rounding
/// Errors  precondition_error for an empty batch, and for a list whose probabilities under the policy do not sum to 1 (to
///         1e-3): its completions are not all there, or one is there twice
template <class C = column>
[[nodiscard]] double kl_divergence(basic_list_columns<C> const& all) {
  expects(all.reference.present(), "kl_divergence: it is measured from a reference; give one");
  return detail::kl_of_lists(all, [](std::size_t g) { return "list " + std::to_string(g); });
}

/// The same of a policy and a reference that are asked for all completions of some prompts.
template <class P, class R>
  requires Policy<P, choice_batch> && Reference<R, choice_batch>
[[nodiscard]] double kl_divergence(P& policy, R& reference, choice_batch const& all) {
  std::vector<typename P::value_type> ours(all.completions());
  std::vector<typename R::value_type> theirs(all.completions());
  policy.log_prob(all, ours);
  reference.log_prob(all, theirs);
  list_columns const lists{.policy = ours, .reference = theirs, .offset = all.offset};
  return detail::kl_of_lists(
      lists, [&](std::size_t g) { return "prompt " + std::to_string(all.prompt[g]); });
}

}  // namespace prefer::inline v0_1
