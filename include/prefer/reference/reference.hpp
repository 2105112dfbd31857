// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/policy/identity.hpp>
#include <prefer/policy/policy.hpp>

namespace prefer::inline v0_1 {

/// What a policy is held near: log-probabilities without a gradient.
///
/// Asked for   `value_type` and `log_prob(batch, out)`, one number per completion in nats
/// Semantics   the same batch gives the same numbers until `after_step` changes the reference
/// Optional    `after_step(policy, step)`, called when an optimizer step is done
///             `logit(batch, out)`: log_prob up to a constant per prompt, as for a LogitPolicy
///             `save(archive_writer&)`, `load(archive const&)`: what a checkpoint holds of it
///             `identity()`: a number that stands for all that its numbers depend on, besides what it saves; see
///             identity_of_reference
///             `moves`, a static bool: whether after_step changes the numbers; without it, whether there is
///             an after_step
///             `normalised()`, false where log_prob is off by an unknown constant per prompt
///
/// Every Policy is a Reference.
template <class R, class B>
concept Reference = detail::has_value_type<R> && detail::gives_log_prob<R, B>;

namespace detail {

template <class R>
concept says_whether_it_moves = requires {
  { R::moves } -> std::convertible_to<bool>;
};

template <class R>
constexpr bool moves_in_after_step() {
  if constexpr (says_whether_it_moves<R>) {
    return R::moves;
  } else {
    return requires { &R::after_step; };
  }
}

}  // namespace detail

/// Its numbers change in after_step, so numbers computed ahead of time would go stale.
template <class R>
concept MovingReference = detail::moves_in_after_step<R>();

/// Its log_prob is a log-probability, not one up to an unknown constant per prompt.
template <class R>
[[nodiscard]] constexpr bool is_normalised(R const& reference) {
  if constexpr (requires {
                  { reference.normalised() } -> std::convertible_to<bool>;
                }) {
    return reference.normalised();
  } else {
    return true;
  }
}

namespace detail {

template <class R>
[[nodiscard]] constexpr bool draws_for_a_batch() {
  using type = std::remove_cvref_t<R>;
  if constexpr (requires { requires type::depends_on_draw; }) {
    return true;
  } else if constexpr (requires(type const& r) { r.policy(); }) {
    return draws_for_a_batch<decltype(std::declval<type const&>().policy())>();
  } else {
    return false;
  }
}

}  // namespace detail

/// Its numbers, or those of a policy inside of it, depend on what is drawn for a batch (its `draw`), as a denoiser's
/// noise and SamPO's tokens do: those of one draw say nothing about another, so that a cache of them would be wrong.
template <class R>
concept DependsOnDraw = detail::draws_for_a_batch<R>();

namespace detail {

// A policy whose numbers stay what they are: the values of its tensors say which reference it is.
template <class R>
concept is_still_policy = has_parameters<R> && !MovingReference<R>;

template <class R>
concept identified_reference = identified<R> || is_still_policy<R>;

}  // namespace detail

/// Stands for all that a reference's numbers depend on, besides what it saves itself: its `identity()`; of a policy that
/// does not move the base and every number that trains, as it is now. 0 where the reference says nothing: a checkpoint
/// or a cache then does not know it from another.
template <class R>
[[nodiscard]] std::uint64_t identity_of_reference(R& reference) {
  if constexpr (detail::is_still_policy<R>) {
    return identity_with_values(reference);
  } else if constexpr (detail::identified<R>) {
    return static_cast<std::uint64_t>(reference.identity());
  } else {
    return 0;
  }
}

/// How far a reference is from the policy on a batch.
struct reference_distance {
  double largest = 0.0;        ///< |log_ratio|, nats
  std::size_t completion = 0;  ///< of the batch, that has it
};

/// The largest |log_ratio| over a batch: 0 before the first step where the reference is the start policy. NaN
/// counts as larger than any number.
///
/// Anything else there means that the two were scored differently: another template, mask or dropout.
template <class P, class R, class B>
  requires Policy<P, B> && Reference<R, B>
[[nodiscard]] reference_distance distance_to_reference(P& policy, R& reference, B const& batch) {
  std::vector<typename P::value_type> ours(batch.completions());
  std::vector<typename R::value_type> theirs(batch.completions());
  reference.log_prob(batch, theirs);
  policy.log_prob(batch, ours);
  reference_distance out;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    double const gap = std::abs(static_cast<double>(ours[i]) - static_cast<double>(theirs[i]));
    if (!(gap <= out.largest)) out = {gap, i};
    if (std::isnan(gap)) break;
  }
  return out;
}

/// The check at step 0: a reference that claims to be the initial policy gives log-ratios of 0, hence DPO
/// a loss of ln 2.
///
/// Errors  precondition_error naming the completion, its row where the batch has row numbers, and its
///         log-ratio
template <class P, class R, class B>
  requires Policy<P, B> && Reference<R, B>
void expect_initial_reference(P& policy, R& reference, B const& batch, double tolerance = 1e-5) {
  auto const [largest, completion] = distance_to_reference(policy, reference, batch);
  if (largest <= tolerance) return;
  std::string place = "completion " + std::to_string(completion);
  if constexpr (requires { std::to_string(batch.row[0] + batch.offset[0]); }) {
    if (batch.row.size() != 0) {
      std::size_t group = 0;
      while (batch.offset[group + 1] <= completion) ++group;
      place = "completion " + std::to_string(completion - batch.offset[group]) + " of row " +
              std::to_string(batch.row[group]);
    }
  }
  detail::broken("reference: it should be the initial policy, yet |log_ratio| of " + place +
                 " is " + std::to_string(largest) + " nats; expected 0 before the first step");
}

}  // namespace prefer::inline v0_1
