// SPDX-License-Identifier: MIT
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <catch2/catch.hpp>

#include <prefer/advantage/baselines.hpp>
#include <prefer/advantage/generalised_advantages.hpp>
#include <prefer/advantage/steps.hpp>
#include <prefer/advantage/whiten.hpp>
#include <prefer/loss/ppo.hpp>
#include <prefer/loss/rloo.hpp>
#include <prefer/metrics/best_of_n.hpp>
#include <prefer/model/tabular.hpp>
#include <prefer/prefer.hpp>
#include <prefer/reward/reward_model.hpp>
#include <prefer/train/annotators.hpp>

namespace rewards {

using numbers = std::vector<double>;

/// Eight completions of one prompt, of which a higher one is better: pairs as an annotator labels them who sees that with
/// the odds of Bradley and Terry, each outcome as often as it is likely.
double worth(std::uint32_t y) { return 0.25 * y; }
prefer::choice_data labelled_pairs() {
  prefer::choice_data data;
  for (std::uint32_t a = 0; a != 8; ++a) {
    for (std::uint32_t b = 0; b != 8; ++b) {
      if (a == b) continue;
      data.add_pair(0, a, b);
      data.weight.push_back(static_cast<float>(prefer::sigmoid(worth(a) - worth(b))));
    }
  }
  return data;
}

}  // namespace rewards

TEST_CASE("rewards: the guide's reward model finds what the pairs say", "[docs][rewards]") {
  auto const pairs = rewards::labelled_pairs();
  auto const& held_out = pairs;
  // [reward_model]
  prefer::logit_score model(prefer::tabular<double>(1, 8));  // one free score per completion
  prefer::no_reference<double> none;
  prefer::trainer fitting(model, prefer::bradley_terry{.centering = 0.01}, none, pairs,
                          {.batch_size = pairs.size(), .steps = 500, .rate = 0.05});
  fitting.run();

  auto const judged = prefer::score_pairs(model, none, held_out);
  auto const accuracy = prefer::metrics(judged.columns(), prefer::reward_is_score).accuracy;
  auto const calibration = prefer::calibration_of(judged.columns(), prefer::reward_is_score);
  // [/reward_model]
  std::vector<double> score(8);
  prefer::choice_data all;
  all.add_list(0, std::vector<std::uint32_t>{0, 1, 2, 3, 4, 5, 6, 7});
  model.log_prob(all.batch(), std::span<double>(score));
  // The centering holds sums of scores near 0, and so shrinks the differences a little.
  for (std::uint32_t y = 1; y != 8; ++y) {
    CHECK(score[y] - score[0] == Approx(rewards::worth(y)).epsilon(0.1));
  }
  // Weights do not count in the accuracy, and every pair stands in both orders.
  CHECK(accuracy.mean() == 0.5);
  // A tenth of a margin of 1.75, times a slope of the sigmoid of at most 1/4.
  CHECK(calibration.expected_error() < 0.04);

  // [ensemble]
  std::vector<prefer::logit_score<prefer::tabular<double>>> members(3, model);  // each fitted anew
  prefer::reward_ensemble careful(members, 1.0);  // mean - 1 standard deviation
  prefer::bradley_terry_preference annotator{
      prefer::length_biased{prefer::learned_reward(careful), 0.1}};
  prefer::drawn_preference judge{prefer::noisy_annotator{annotator, 0.05}};
  // [/ensemble]
  static_assert(prefer::Judge<decltype(judge)>);
}

TEST_CASE("rewards: the guide's steps of PPO and of RLOO", "[docs][rewards]") {
  using rewards::numbers;
  std::size_t const max_tokens = 4;
  std::vector<std::size_t> const token_offset = {0, 3, 7};  // the second was cut off
  numbers const behaviour = {-0.5, -1.0, -0.2, -0.7, -1.1, -0.3, -0.9};
  numbers const reference = {-0.6, -0.8, -0.2, -0.9, -1.0, -0.3, -1.2};
  numbers const log_prob = behaviour;
  numbers const score = {1.0, -1.0};
  numbers const value = {0.1, 0.3, 0.2, 0.4, 0.0, -0.2, -0.3, -0.5};
  // [ppo]
  auto const step_offset = prefer::step_offsets(token_offset, max_tokens);
  auto const reward = prefer::step_rewards(behaviour, reference, score, token_offset, step_offset,
                                           {.coefficient = 0.05});
  auto const found =
      prefer::generalised_advantages(reward, value, step_offset, {.discount = 1.0, .lambda = 0.95});
  auto const advantage =
      prefer::whiten(prefer::of_tokens(found.advantage, token_offset, step_offset));
  auto const tokens = prefer::evaluate(
      prefer::clipped_surrogate{.clip_low = 0.2, .clip_high = 0.2},
      prefer::unpaired_columns{.policy = log_prob, .score = advantage, .behaviour = behaviour});
  // [/ppo]
  // Where the policy has not moved, a token's coefficient is its advantage, and they add up to 0.
  double sum = 0.0;
  for (double const each : tokens.coefficient) sum += each;
  CHECK(sum == Approx(0.0).margin(1e-15));
  CHECK(found.value_target.size() == value.size());

  prefer::tabular<double> policy(1, 8);
  prefer::choice_data written;
  for (std::uint32_t const y : {1U, 6U, 3U, 3U}) written.add_labelled(0, y, true);
  numbers now(4);
  policy.log_prob(written.batch(), now);
  auto const before = now;
  numbers const start = now;
  numbers const scores = {0.0, 1.0, 0.5, 0.5};
  // [rloo]
  std::vector<std::size_t> const group = {0, 4};  // four completions of one prompt
  auto const paid = prefer::penalised_scores(scores, now, start, 0.05);
  auto const against_others = prefer::leave_one_out(paid, group);
  auto const step = prefer::evaluate(
      prefer::rloo{},
      prefer::unpaired_columns{.policy = now, .score = against_others, .behaviour = now});
  policy.backward(written.batch(), step.coefficient);
  policy.finish_backward();
  // [/rloo]
  CHECK(step.coefficient[1] < 0.0);  // the best goes up
  CHECK(step.coefficient[0] > 0.0);
  CHECK(step.coefficient[2] == 0.0);
  CHECK(before == now);
}

TEST_CASE("rewards: the guide's best of n", "[docs][rewards]") {
  using rewards::numbers;
  numbers const log_prob(8, -std::log(8.0));
  numbers learned;
  numbers truth;
  for (std::uint32_t y = 0; y != 8; ++y) {
    learned.push_back(rewards::worth(y));
    truth.push_back(rewards::worth(y) - (y == 7 ? 2.0 : 0.0));
  }
  // [best_of_n]
  auto const four = prefer::exact_best_of_n(log_prob, learned, 4);
  double const true_reward = four.expected(truth);  // chosen by one reward, judged by another
  double const nats = four.kl;                      // at most four.kl_bound, log 4 - 3/4
  // From 16 completions that were written, without bias: prefer::estimate_best_of_n(learned, truth, 4)
  // [/best_of_n]
  CHECK(nats < four.kl_bound);
  CHECK(true_reward == Approx(four.score - 2.0 * four.probability[7]).epsilon(1e-14));
}
