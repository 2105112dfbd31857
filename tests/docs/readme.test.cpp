// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdio>
#include <prefer/model/tabular.hpp>
#include <prefer/prefer.hpp>
#include <vector>

TEST_CASE("README: evaluate gives the loss and the coefficients of a batch", "[docs][readme]") {
  // [evaluate]
  std::vector<float> const policy_chosen = {-12.0f, -30.5f}, policy_rejected = {-15.0f, -28.0f};
  std::vector<float> const start_chosen = {-13.0f, -30.0f}, start_rejected = {-14.0f, -29.0f};

  auto const result = prefer::evaluate(
      prefer::dpo{.beta = 0.1},
      prefer::pair_columns{.policy = {.chosen = policy_chosen, .rejected = policy_rejected},
                           .reference = {.chosen = start_chosen, .rejected = start_rejected}});

  std::printf("%.4f\n", result.loss);                   // the mean over pairs
  std::printf("%.4f\n", result.coefficient.chosen[0]);  // d mean loss / d policy_chosen[0]
  // [/evaluate]

  // log-ratio margins: (1) - (-1) = 2 and (-0.5) - (1) = -1.5, times beta 0.2 and -0.15
  double const first = std::log1p(std::exp(-0.2));
  double const second = std::log1p(std::exp(0.15));
  CHECK(result.loss == Approx((first + second) / 2).epsilon(1e-6));
  double const push = -0.1 / (1.0 + std::exp(0.2)) / 2;  // -beta sigmoid(-z) / B
  CHECK(result.coefficient.chosen[0] == Approx(push).epsilon(1e-6));
  CHECK(result.coefficient.rejected[0] == Approx(-push).epsilon(1e-6));
}

TEST_CASE("README: a lambda is a loss, and trains", "[docs][readme]") {
  // [own_loss]
  auto const mine = prefer::pair_loss([](auto const& pair) {
    return square(1.0 - 0.5 * pair.log_ratio_margin());  // the formula; its gradient follows
  });

  prefer::choice_data data;  // prompts and completions by number
  data.add_pair(0, 2, 1);    // prompt 0: completion 2 is better than completion 1
  data.add_pair(1, 0, 2);

  prefer::tabular<float> policy(2, 3);      // 2 prompts, 3 completions, uniform at first
  auto reference = prefer::frozen(policy);  // a copy, which stays as it is
  prefer::trainer training(policy, mine, reference, data,
                           {.batch_size = 2, .epochs = 200, .rate = 0.05});
  training.run([](prefer::step_report const& report) {
    if (report.step % 50 == 0) std::printf("loss %.4f\n", report.loss);
  });
  // [/own_loss]

  std::vector<float> log_prob(3);
  policy.log_probs(0, log_prob);
  // The loss is 0 at a margin of 2 nats; the reference is uniform, so its own margin is 0.
  CHECK(log_prob[2] - log_prob[1] == Approx(2.0f).margin(0.02));
  CHECK(training.steps_done() == 200);
}

TEST_CASE(
    "README: a stronger reference, a beta that falls, and what became of the chosen completions",
    "[docs][readme]") {
  prefer::choice_data data;
  data.add_pair(0, 2, 1);
  data.add_pair(1, 0, 2);

  // [research]
  prefer::tabular<double> stronger(2, 3);
  stronger.parameters()[0].value[2] = 1.0;  // a model that already knows completion 2 of prompt 0
  prefer::tabular<double> policy(2, 3);
  auto reference =
      prefer::frozen(stronger);  // or no_reference{}, a moving average, a type of your own

  prefer::trainer training(policy, prefer::dpo{}, reference, data,
                           {.batch_size = 2, .epochs = 100, .rate = 0.05},
                           prefer::linear_beta{.from = 0.5, .to = 0.1, .steps = 100});
  training.run();

  auto const pairs = prefer::score_pairs(policy, reference, data);
  auto const drift = prefer::displacement_of(pairs.columns());
  std::printf("%.0f %% of the chosen completions fell below the reference\n",
              100 * drift.chosen.fell.mean());
  // [/research]

  CHECK(training.steps_done() == 100);
  // Each margin is pushed up from where the policy began: 0 nats, against 1 and 0 of the reference.
  std::vector<double> log_prob(3);
  policy.log_probs(0, log_prob);
  CHECK(log_prob[2] > log_prob[1] + 1.0);
  CHECK(drift.chosen.fell.count == 2.0);
}
