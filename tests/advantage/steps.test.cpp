// SPDX-License-Identifier: MIT
#include <cmath>
#include <cstddef>
#include <vector>

#include <catch2/catch.hpp>

#include <prefer/advantage/generalised_advantages.hpp>
#include <prefer/advantage/steps.hpp>

#include "support/message_of.hpp"

namespace {

using numbers = std::vector<double>;
using offsets = std::vector<std::size_t>;
using prefer::test::message_of;

// A completion of three tokens that has ended, and one of two that was cut off.
offsets const token_offset = {0, 3, 5};
offsets const step_offset = {0, 4, 6};
numbers const log_prob = {-1.0, -2.0, -0.5, -1.0, -3.0};
numbers const reference_log_prob = {-1.5, -1.0, -0.5, -1.0, -2.0};
numbers const score = {2.0, -1.0};

}  // namespace

TEST_CASE("step_offsets: what ends by itself has a step after its end", "[advantage][steps]") {
  CHECK(prefer::step_offsets(token_offset, 3) == offsets{0, 3, 6});
  CHECK(prefer::step_offsets(token_offset, 4) == offsets{0, 4, 7});
  CHECK(prefer::step_offsets(token_offset, 0) == token_offset);
}

TEST_CASE("step_rewards: tokens pay for their log-ratios, and the last step has the score",
          "[advantage][steps]") {
  // Log-ratios 1/2, -1, 0 and 0, -1.
  CHECK(prefer::step_rewards(log_prob, reference_log_prob, score, token_offset, step_offset,
                             {.coefficient = 0.5}) == numbers{-0.25, 0.5, 0.0, 2.0, 0.0, -0.5});
  CHECK(prefer::step_rewards(log_prob, reference_log_prob, score, token_offset, token_offset,
                             {.coefficient = 0.5}) == numbers{-0.25, 0.5, 2.0, 0.0, -0.5});
  auto const k3 =
      prefer::step_rewards(log_prob, reference_log_prob, score, token_offset, step_offset,
                           {.coefficient = 0.5, .estimator = prefer::kl_estimator::k3});
  CHECK(k3[0] == Approx(-0.5 * (std::exp(-0.5) - 1.0 + 0.5)).epsilon(1e-14));
  CHECK(k3[1] == Approx(-0.5 * (std::exp(1.0) - 2.0)).epsilon(1e-14));
  CHECK(k3[3] == 2.0);
}

TEST_CASE("penalised_scores: a completion pays for the sum of its tokens' log-ratios",
          "[advantage][steps]") {
  numbers const sums = {-3.5, -4.0};
  numbers const reference_sums = {-3.0, -3.0};
  auto const whole = prefer::penalised_scores(score, sums, reference_sums, 0.5);
  CHECK(whole == numbers{2.25, -0.5});
  // The same as all rewards of its steps.
  auto const steps = prefer::step_rewards(log_prob, reference_log_prob, score, token_offset,
                                          step_offset, {.coefficient = 0.5});
  CHECK(steps[0] + steps[1] + steps[2] + steps[3] == whole[0]);
  CHECK(steps[4] + steps[5] == whole[1]);
}

TEST_CASE("of_tokens: leaves the states after the end out", "[advantage][steps]") {
  CHECK(prefer::of_tokens(numbers{1, 2, 3, 4, 5, 6}, token_offset, step_offset) ==
        numbers{1, 2, 3, 5, 6});
}

TEST_CASE("steps: what has no meaning is refused", "[advantage][steps]") {
  CHECK(message_of([] {
          (void)prefer::step_rewards(log_prob, reference_log_prob, score, token_offset, step_offset,
                                     {.coefficient = -0.05});
        }) == "step_rewards: coefficient is -0.05, expected a finite number, zero or greater");
  CHECK(message_of([] {
          (void)prefer::step_rewards(log_prob, reference_log_prob, numbers{2.0, std::nan("")},
                                     token_offset, step_offset);
        }) == "step_rewards: score 1 is nan; expected a finite number");
  CHECK(message_of([] {
          (void)prefer::step_rewards(log_prob, reference_log_prob, score, token_offset,
                                     offsets{0, 5, 7});
        }) == "step_rewards: completion 0 has 3 tokens and 5 steps; expected as many, or one more");
  CHECK(message_of([] { (void)prefer::penalised_scores(score, score, numbers{1.0}); }) ==
        "penalised_scores: reference_log_prob has 1 elements, expected 2");
  CHECK(message_of([] { (void)prefer::penalised_scores(score, score, score, -1.0); }) ==
        "penalised_scores: coefficient is -1, expected a finite number, zero or greater");
  CHECK(message_of([] {
          (void)prefer::step_rewards(log_prob, reference_log_prob, score, offsets{0, 0, 5},
                                     offsets{0, 1, 6});
        }) == "step_rewards: completion 0 is from 0 to 0; expected at least 1 element");
}

TEST_CASE("generalised_advantages: an episode by hand", "[advantage][gae]") {
  // surprise: -6, 0, 1/2, -1/4 from the last step to the first; each adds a quarter of the advantage after it.
  auto const one =
      prefer::generalised_advantages(numbers{-0.25, 0.5, 0.0, 2.0}, numbers{1.0, 2.0, 4.0, 8.0},
                                     offsets{0, 4}, {.discount = 0.5, .lambda = 0.5});
  CHECK(one.advantage == numbers{-0.21875, 0.125, -1.5, -6.0});
  CHECK(one.value_target == numbers{0.78125, 2.125, 2.5, 2.0});
}

TEST_CASE("generalised_advantages: with lambda 1 all that is to come, with lambda 0 one step",
          "[advantage][gae]") {
  numbers const reward = {1.0, -2.0, 4.0, 0.5, 8.0};
  numbers const value = {0.25, 0.5, -1.0, 2.0, 1.0};
  offsets const two = {0, 3, 5};  // the second episode is none of the first one's business
  auto const all = prefer::generalised_advantages(reward, value, two, {.lambda = 1.0});
  CHECK(all.value_target == numbers{3.0, 2.0, 4.0, 8.5, 8.0});
  CHECK(all.advantage == numbers{2.75, 1.5, 5.0, 6.5, 7.0});
  auto const next = prefer::generalised_advantages(reward, value, two, {.lambda = 0.0});
  CHECK(next.value_target == numbers{1.5, -3.0, 4.0, 1.5, 8.0});
  CHECK(next.advantage == numbers{1.25, -3.5, 5.0, -0.5, 7.0});
}

TEST_CASE("generalised_advantages: what has no meaning is refused", "[advantage][gae]") {
  auto const complaint = [](prefer::advantage_horizon const& horizon, numbers const& value) {
    return message_of([&] {
      (void)prefer::generalised_advantages(numbers{1.0, 2.0}, value, offsets{0, 2}, horizon);
    });
  };
  numbers const value = {0.0, 0.0};
  CHECK(complaint({.lambda = 1.5}, value) ==
        "generalised_advantages: lambda is 1.5, expected at least 0 and at most 1");
  CHECK(complaint({.lambda = -0.1}, value) ==
        "generalised_advantages: lambda is -0.1, expected at least 0 and at most 1");
  CHECK(complaint({.discount = 2.0}, value) ==
        "generalised_advantages: discount is 2, expected at least 0 and at most 1");
  CHECK(complaint({}, {0.0}) == "generalised_advantages: value has 1 elements, expected 2");
  CHECK(complaint({}, {0.0, INFINITY}) ==
        "generalised_advantages: value 1 is inf; expected a finite number");
}
