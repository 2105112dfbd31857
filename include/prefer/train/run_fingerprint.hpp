// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstdint>
#include <span>
#include <string>

#include <prefer/beta/schedule.hpp>
#include <prefer/expects.hpp>
#include <prefer/file/fingerprint.hpp>
#include <prefer/loss/hyper_parameter.hpp>
#include <prefer/loss/loss.hpp>
#include <prefer/objective/formula_fingerprint.hpp>
#include <prefer/policy/parameter.hpp>
#include <prefer/train/options.hpp>

namespace prefer::inline v0_1 {

namespace detail {

template <class Beta>
inline constexpr bool is_scheduled = !std::same_as<Beta, beta_of_the_loss>;

// A beta rule that learns from the run, and is saved with it.
template <class Beta>
inline constexpr bool has_beta_state = requires(Beta const& beta) {
  { beta.identity() } -> std::convertible_to<std::uint64_t>;
};

template <Loss L, class Beta>
void apply_beta(L& loss, Beta const& beta, std::uint64_t step) {
  if constexpr (is_scheduled<Beta>) {
    with_context("trainer: step " + std::to_string(step + 1) + ": ", [&] {
      if (set_beta(loss, static_cast<double>(beta(step))) == 0) {
        broken("beta comes from a schedule, but this loss has no hyper-parameter beta");
      }
    });
  }
}

}  // namespace detail

/// What must agree for a checkpoint to continue a run, besides examples, reference and base. Not micro-batches and threads, which do not change results, nor
/// epochs and steps, so that a run can be prolonged.
template <Loss L, class Beta, class T>
[[nodiscard]] std::uint64_t run_fingerprint(train_options const& options, bool by_logits,
                                            L const& loss, Beta const& beta,
                                            std::span<parameter<T> const> parameters) {
  fingerprint identity;
  identity.add(static_cast<std::uint64_t>(options.batch_size)).add(options.seed);
  identity.add(options.max_gradient_norm).add(by_logits).add(options.skip_settled);
  for (std::uint64_t s = 0; s < std::uint64_t{1} << 32; s = 2 * s + 1) {
    identity.add(options.rate(s));
    if constexpr (detail::is_scheduled<Beta> && !detail::has_beta_state<Beta>) {
      identity.add(static_cast<double>(beta(s)));
    }
  }
  if constexpr (detail::has_beta_state<Beta>) {
    identity.add(static_cast<std::uint64_t>(beta.identity()));
  }
  identity.add(options.optimizer.beta1).add(options.optimizer.beta2);
  identity.add(options.optimizer.epsilon).add(options.optimizer.weight_decay);
  if constexpr (requires { L::name; }) identity.add(L::name);
  L constant = loss;
  if constexpr (detail::has_beta_state<Beta>) {
    set_beta(constant, 1.0);  // where beta is now belongs to the state, not to the run
  } else {
    detail::apply_beta(constant, beta, 0);  // as it is at this step; the schedule is above
  }
  for_each_hyper_parameter(constant, [&](char const* name, auto const& value) {
    identity.add(name).add(static_cast<double>(value));
  });
  identity.add(fingerprint_of_formula(constant));
  for (auto const& each : parameters) {
    identity.add(each.name).add(static_cast<std::uint64_t>(each.value.size())).add(each.frozen);
    identity.add(each.shape.sizes());
    adamw_setting const own = setting_of(options.optimizer, each);
    identity.add(own.weight_decay).add(own.rate_factor);
  }
  return identity.value();
}

}  // namespace prefer::inline v0_1
