// SPDX-License-Identifier: MIT
#include <cmath>

#include <catch2/catch.hpp>

#include <prefer/loss/compose.hpp>
#include <prefer/loss/grpo.hpp>
#include <prefer/loss/ppo.hpp>
#include <prefer/loss/rloo.hpp>

#include "loss/policy_gradients.hpp"
#include "support/finite_difference.hpp"
#include "support/message_of.hpp"

namespace {

using namespace prefer::test;
using prefer::clipped_surrogate;
using prefer::clipped_value;
using prefer::grpo;
using prefer::rloo;

// Ratios of 1/2, 1 and 2: on either side of every clip below.
double const at_half = -1.0 - std::log(2.0);
double const at_twice = -1.0 + std::log(2.0);

/// Both slopes of a loss against differences of its value.
template <class L>
void check_slopes(L const& loss, written_point const& at) {
  auto const y = slopes_at(loss, at);
  auto const by_log_prob = derivative(
      [&](long double x) { return at_written<long double>(loss, at, x, at.value); }, at.log_prob);
  auto const by_value = derivative(
      [&](long double x) { return at_written<long double>(loss, at, at.log_prob, x); }, at.value);
  // The difference errs by 1e-15 of numbers below 10, the slope by rounding.
  CHECK(y.by_log_prob == Approx(static_cast<double>(by_log_prob)).epsilon(1e-12).margin(1e-14));
  CHECK(y.by_value == Approx(static_cast<double>(by_value)).epsilon(1e-12).margin(1e-14));
}

}  // namespace

TEST_CASE("clipped_surrogate: until the policy moves it is the policy gradient", "[loss][ppo]") {
  auto const y = slopes_at(clipped_surrogate{}, {.score = 3.0});
  CHECK(y.value == -3.0);
  CHECK(y.by_log_prob == -3.0);
}

TEST_CASE("clipped_surrogate: gives no more reward for going further, and lets come back",
          "[loss][ppo]") {
  clipped_surrogate const loss{.clip_low = 0.2, .clip_high = 0.28};
  // Wanted more of: above 1.28 nothing is gained.
  auto const far = slopes_at(loss, {.log_prob = at_twice, .score = 3.0});
  CHECK(far.value == Approx(-3.0 * 1.28));
  CHECK(far.by_log_prob == 0.0);
  auto const back = slopes_at(loss, {.log_prob = at_half, .score = 3.0});
  CHECK(back.value == Approx(-1.5));
  CHECK(back.by_log_prob == Approx(-1.5));
  // Wanted less of: below 0.8 nothing is gained.
  auto const low = slopes_at(loss, {.log_prob = at_half, .score = -3.0});
  CHECK(low.value == Approx(3.0 * 0.8));
  CHECK(low.by_log_prob == 0.0);
  auto const high = slopes_at(loss, {.log_prob = at_twice, .score = -3.0});
  CHECK(high.value == Approx(6.0));
  CHECK(high.by_log_prob == Approx(6.0));
}

TEST_CASE("clipped_surrogate: an advantage of 0 is 0, however far the policy has gone",
          "[loss][ppo]") {
  auto const y = slopes_at(clipped_surrogate{}, {.log_prob = 0.0, .behaviour = -1e4, .score = 0.0});
  CHECK(y.value == 0.0);
  CHECK(y.by_log_prob == 0.0);
}

TEST_CASE("clipped_value: pays for the worse of what it says and what it may say", "[loss][ppo]") {
  clipped_value const loss{.clip = 0.5};
  // Within the clip: half the square.
  auto const near = slopes_at(loss, {.value = 1.25, .behaviour_value = 1.0, .value_target = 3.0});
  CHECK(near.value == 0.5 * 1.75 * 1.75);
  CHECK(near.by_value == -1.75);
  // Beyond it, towards the target: what it may say, 1.5, is worse, and going on gains nothing.
  auto const beyond = slopes_at(loss, {.value = 2.0, .behaviour_value = 1.0, .value_target = 3.0});
  CHECK(beyond.value == 0.5 * 1.5 * 1.5);
  CHECK(beyond.by_value == 0.0);
  // Beyond it and away from the target: what it says, -1, is worse, and it is called back.
  auto const away = slopes_at(loss, {.value = -1.0, .behaviour_value = 1.0, .value_target = 3.0});
  CHECK(away.value == 8.0);
  CHECK(away.by_value == -4.0);
}

TEST_CASE("policy gradients: clips of 0.2 and 0.2, and a KL term of 0.04, unless others are given",
          "[loss][ppo]") {
  auto const value = [](auto const& loss, written_point const& at) {
    return at_written<double>(loss, at, at.log_prob, at.value);
  };
  written_point const high = {.log_prob = at_twice, .score = 1.0};
  written_point const low = {.log_prob = at_half, .score = -1.0};
  CHECK(value(clipped_surrogate{}, high) == Approx(-1.2).epsilon(1e-14));
  CHECK(value(clipped_surrogate{}, low) == Approx(0.8).epsilon(1e-14));
  CHECK(value(rloo{}, high) == Approx(-1.2).epsilon(1e-14));
  CHECK(value(rloo{}, low) == Approx(0.8).epsilon(1e-14));
  // k3 of a log-ratio of log 2 is 1/2 - 1 + log 2, of -log 2 it is 2 - 1 - log 2.
  CHECK(value(grpo{}, high) == Approx(-1.2 + 0.04 * (std::log(2.0) - 0.5)).epsilon(1e-14));
  CHECK(value(grpo{}, low) == Approx(0.8 + 0.04 * (1.0 - std::log(2.0))).epsilon(1e-14));
  // From 0 to 1 with a target of 2: of what may be said, 0.2, the square is 1.8^2.
  CHECK(value(clipped_value{}, {.value = 1.0, .behaviour_value = 0.0, .value_target = 2.0}) ==
        Approx(1.8 * 1.8 / 2).epsilon(1e-14));
}

TEST_CASE("policy gradients: slopes are those of the values", "[loss][ppo]") {
  auto const sum = clipped_surrogate{.clip_high = 0.4} + 0.1 * clipped_value{.clip = 0.3};
  for (double const log_prob : {-1.9, -1.1, -0.95, -0.25}) {
    for (double const score : {-2.0, 0.75}) {
      for (double const value : {-1.25, 0.1, 0.9}) {
        written_point const at{.log_prob = log_prob,
                               .reference = -1.4,
                               .score = score,
                               .value = value,
                               .behaviour_value = 0.25,
                               .value_target = 0.5};
        CAPTURE(log_prob, score, value);
        check_slopes(sum, at);
        check_slopes(grpo{.beta = 0.3}, at);
        check_slopes(rloo{}, at);
        check_slopes(prefer::reinforce{}, at);
      }
    }
  }
}

TEST_CASE("policy gradients: what each reads", "[loss][ppo]") {
  using enum prefer::column_name;
  CHECK(prefer::needs<clipped_surrogate> == (policy | behaviour | score));
  CHECK(prefer::needs<clipped_value> == (value_estimate | behaviour_value | value_target));
  CHECK(prefer::needs<grpo> == (policy | behaviour | score | reference));
  CHECK(prefer::needs<rloo> == (policy | behaviour | score));
  CHECK(prefer::needs<prefer::reinforce> == (policy | score));
  CHECK(prefer::is_over_tokens<grpo>);
  CHECK_FALSE(prefer::is_over_tokens<rloo>);
}

TEST_CASE("policy gradients: hyper-parameters out of range are refused", "[loss][ppo]") {
  auto const complaint = [](auto const& loss) {
    return message_of([&] { prefer::expects_hyper_parameters_in_range(loss); });
  };
  CHECK(complaint(clipped_surrogate{.clip_low = 1.5}) ==
        "clipped_surrogate: clip_low is 1.5, expected at least 0 and at most 1");
  CHECK(complaint(rloo{.clip_high = -0.2}) ==
        "rloo: clip_high is -0.2, expected a finite number, zero or greater");
  CHECK(complaint(clipped_value{.clip = -1.0}) ==
        "clipped_value: clip is -1, expected a finite number, zero or greater");
  CHECK(complaint(grpo{.beta = -0.1}) ==
        "grpo: beta is -0.1, expected a finite number greater than zero");
}
