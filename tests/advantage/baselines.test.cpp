// SPDX-License-Identifier: MIT
#include <cmath>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <vector>

#include <catch2/catch.hpp>

#include <prefer/advantage/baselines.hpp>
#include <prefer/advantage/token_weights.hpp>
#include <prefer/advantage/whiten.hpp>
#include <prefer/parallel/thread_processes.hpp>

#include "support/message_of.hpp"

namespace {

using numbers = std::vector<double>;
using offsets = std::vector<std::size_t>;
using prefer::token_mean;
using prefer::test::message_of;

double sum(numbers const& of) {
  double out = 0.0;
  for (double const x : of) out += x;
  return out;
}

}  // namespace

TEST_CASE("whiten: mean 0 and the sample variance", "[advantage][whiten]") {
  // Of 1, 2, 6: mean 3, variance (4 + 1 + 9) / 2.
  double const scale = 1.0 / std::sqrt(7.0 + 1e-8);
  auto const centred = prefer::whiten(numbers{1, 2, 6});
  CHECK(centred == numbers{-2 * scale, -scale, 3 * scale});
  auto const kept = prefer::whiten(numbers{1, 2, 6}, prefer::whitened_mean::kept);
  CHECK(kept == numbers{3 - 2 * scale, 3 - scale, 3 + 3 * scale});
  CHECK(prefer::whiten(numbers{5, 5, 5}) == numbers{0, 0, 0});
}

TEST_CASE("whiten: over processes as over the whole batch", "[advantage][whiten]") {
  numbers const all = {1.0, 2.5, -4.0, 0.25, 7.0, 3.0, -1.0};
  auto const whole = prefer::whiten(all);
  prefer::thread_processes::run(3, [&](auto const& mine) {
    // The first of the three has one number alone.
    std::size_t const begin = mine.rank() == 0 ? 0 : 1 + 3 * (mine.rank() - 1);
    auto const part = std::span(all).subspan(begin, mine.rank() == 0 ? 1 : 3);
    auto const own = prefer::whiten(part, prefer::whitened_mean::zero, mine);
    for (std::size_t i = 0; i != own.size(); ++i) {
      if (std::abs(own[i] - whole[begin + i]) > 1e-14) throw std::runtime_error("differs");
    }
  });
}

TEST_CASE("leave_one_out: each against the mean of the others", "[advantage][baselines]") {
  CHECK(prefer::leave_one_out(numbers{1, 2, 6, 0.5, 1.5}, offsets{0, 3, 5}) ==
        numbers{-3, -1.5, 4.5, -1, 1});
}

TEST_CASE("group_relative: distances from the mean in sample deviations",
          "[advantage][baselines]") {
  numbers const reward = {1, 2, 6, 0.5, 1.5};
  offsets const groups = {0, 3, 5};
  double const first = std::sqrt(7.0) + 1e-4;
  double const second = std::sqrt(0.5) + 1e-4;
  auto const of = prefer::group_relative(reward, groups);
  numbers const expected = {-2 / first, -1 / first, 3 / first, -0.5 / second, 0.5 / second};
  for (std::size_t i = 0; i != of.size(); ++i) CHECK(of[i] == Approx(expected[i]).epsilon(1e-15));
  auto const plain = prefer::group_relative(reward, groups, prefer::reward_scale::none);
  auto const others = prefer::leave_one_out(reward, groups);
  for (std::size_t i = 0; i != 3; ++i) CHECK(plain[i] == Approx(others[i] * 2 / 3).epsilon(1e-15));
  // All rewards together: mean 2.2 and squares 1.44, 0.04, 14.44, 2.89, 0.49 around it.
  auto const batch = prefer::group_relative(reward, groups, prefer::reward_scale::batch);
  CHECK(batch[2] == Approx(3 / (std::sqrt(19.3 / 4) + 1e-4)).epsilon(1e-14));
  CHECK(prefer::group_relative(numbers{2, 2}, offsets{0, 2}) == numbers{0, 0});
}

TEST_CASE("standardise: mean 0 and deviation 1", "[advantage][baselines]") {
  double const divisor = std::sqrt(7.0) + 1e-4;
  CHECK(prefer::standardise(numbers{1, 2, 6}) == numbers{-2 / divisor, -1 / divisor, 3 / divisor});
}

TEST_CASE("leave_one_out: the expected gradient is exact, that of a group's own mean is smaller",
          "[advantage][baselines]") {
  // All 9 pairs of actions of a softmax over 3; d log p_y / d logit_a = [y = a] - p_a.
  numbers const p = {0.2, 0.3, 0.5};
  numbers const reward = {1.0, -2.0, 0.5};
  double const expected_reward = 0.2 * 1.0 - 0.3 * 2.0 + 0.5 * 0.5;
  for (std::size_t a = 0; a != 3; ++a) {
    double unbiased = 0.0;
    double own_mean = 0.0;
    for (std::size_t y = 0; y != 3; ++y) {
      for (std::size_t z = 0; z != 3; ++z) {
        numbers const both = {reward[y], reward[z]};
        auto const slope = [&](std::size_t of) { return (of == a ? 1.0 : 0.0) - p[a]; };
        auto const add = [&](double& to, numbers const& advantage) {
          to += p[y] * p[z] * 0.5 * (advantage[0] * slope(y) + advantage[1] * slope(z));
        };
        add(unbiased, prefer::leave_one_out(both, offsets{0, 2}));
        add(own_mean, prefer::group_relative(both, offsets{0, 2}, prefer::reward_scale::none));
      }
    }
    double const exact = p[a] * (reward[a] - expected_reward);
    CHECK(unbiased == Approx(exact).margin(1e-16));
    CHECK(own_mean == Approx(exact / 2).margin(1e-16));
  }
}

TEST_CASE("running_baseline: of earlier batches, as a mean that began with nothing",
          "[advantage][baselines]") {
  prefer::running_baseline baseline(0.5);
  CHECK(baseline.advantages(numbers{3, 5}) == numbers{3, 5});
  CHECK(baseline.value() == 4.0);
  CHECK(baseline.advantages(numbers{8}) == numbers{4});
  CHECK(baseline.value() == 5.0 / 0.75);  // 4 with weight 1/4, 8 with weight 1/2
  prefer::running_baseline resumed(0.5);
  resumed.resume(baseline.sum(), baseline.weight());
  CHECK(resumed.value() == baseline.value());
  CHECK(message_of([] { prefer::running_baseline const none(1.0); }) ==
        "running_baseline: decay is 1, expected less");
}

TEST_CASE("token_weights: by tokens, by completions, by the limit", "[advantage][token_weights]") {
  offsets const tokens = {0, 2, 5, 6};
  CHECK(prefer::token_weights(token_mean::per_token, tokens) == numbers(6, 1.0 / 6));
  auto const alike = prefer::token_weights(token_mean::per_completion, tokens);
  CHECK(alike == numbers{1.0 / 6, 1.0 / 6, 1.0 / 9, 1.0 / 9, 1.0 / 9, 1.0 / 3});
  CHECK(sum(alike) == Approx(1.0).epsilon(1e-15));
  CHECK(prefer::token_weights(token_mean::per_limit, tokens, {}, 4) == numbers(6, 1.0 / 12));
}

TEST_CASE("token_weights: tokens are counted after the filter, completions before it",
          "[advantage][token_weights]") {
  offsets const tokens = {0, 2, 5, 6};
  std::vector<float> const counts = {1, 0, 1};
  double const third = 1.0 / 3;
  CHECK(prefer::token_weights(token_mean::per_token, tokens, counts) ==
        numbers{third, third, 0, 0, 0, third});
  CHECK(prefer::token_weights(token_mean::per_completion, tokens, counts) ==
        numbers{1.0 / 6, 1.0 / 6, 0, 0, 0, third});
  CHECK(prefer::token_weights(token_mean::per_token, tokens, std::vector<float>(3)) == numbers(6));
}

TEST_CASE("baselines: what has no meaning is refused", "[advantage][baselines]") {
  CHECK(message_of([] {
          (void)prefer::leave_one_out(numbers{1, 2, 3}, offsets{0, 2, 3});
        }) == "leave_one_out: group 1 is from 2 to 3; expected at least 2 elements");
  CHECK(message_of([] {
          (void)prefer::group_relative(numbers{1}, offsets{0, 1});
        }) == "group_relative: group 0 is from 0 to 1; expected at least 2 elements");
  CHECK(message_of([] {
          (void)prefer::leave_one_out(numbers{1, std::nan("")}, offsets{0, 2});
        }) == "leave_one_out: reward 1 is nan; expected a finite number");
  CHECK(message_of([] {
          (void)prefer::leave_one_out(numbers{1, 2, 3}, offsets{0, 2});
        }) == "leave_one_out: offsets end at 2, and there are 3 elements");
  CHECK(message_of([] { (void)prefer::whiten(numbers{1}); }) ==
        "whiten: 1 number has no sample variance; expected at least 2");
  CHECK(message_of([] {
          (void)prefer::token_weights(token_mean::per_limit, offsets{0, 2}, {}, 1);
        }) == "token_weights: a completion has more tokens than limit");
}
