// SPDX-License-Identifier: MIT
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <catch2/catch.hpp>

#include <prefer/loss/ppo.hpp>
#include <prefer/loss/rloo.hpp>
#include <prefer/model/bigram.hpp>
#include <prefer/model/tabular.hpp>
#include <prefer/model/values.hpp>
#include <prefer/policy/one_token.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/train/group_methods.hpp>
#include <prefer/train/ppo_method.hpp>
#include <prefer/train/rollouts.hpp>
#include <prefer/train/trainer.hpp>

namespace {

constexpr std::uint32_t end = 3;

/// Short completions with many ones.
double worth(std::uint32_t, std::span<std::uint32_t const> tokens) {
  double ones = 0.0;
  for (std::uint32_t const token : tokens) ones += token == 1 ? 1.0 : 0.0;
  return ones - 0.25 * static_cast<double>(tokens.size());
}

std::vector<std::uint32_t> prompts() { return std::vector<std::uint32_t>(64, 0); }

}  // namespace

TEST_CASE("rewards: the guide's training by RLOO", "[docs][rewards]") {
  auto const reward = [](std::uint32_t, std::span<std::uint32_t const> y) { return 0.25 * y[0]; };
  // [bandit]
  prefer::token_table table;
  prefer::one_token policy(prefer::tabular<double>(1, 8), table);  // a choice among eight
  auto reference = prefer::frozen(policy);
  prefer::rollouts source(policy, table, {0}, reward, reference,
                          prefer::rloo_method({.kl = {.coefficient = 0.5}}),
                          {.completions = 64, .sampling = {.max_tokens = 1}});
  prefer::trainer training(policy, prefer::rloo{}, reference, source, {.steps = 300, .rate = 0.05});
  training.run();
  double const nats = source.last().kl;
  // [/bandit]
  CHECK(nats > 0.1);
  // exp(reward / 0.5) / Z: of neighbours the better one has exp(1/2) as much.
  std::vector<double> log_prob(8);
  policy.policy().log_probs(0, log_prob);
  for (std::size_t y = 1; y != 8; ++y) {
    CHECK(log_prob[y] - log_prob[y - 1] == Approx(0.5).margin(0.15));
  }
}

TEST_CASE("rewards: the guide's training by PPO", "[docs][rewards]") {
  // [train_ppo]
  prefer::token_table table;
  prefer::bigram<double> policy(4, table);
  auto reference = prefer::frozen(policy);
  prefer::state_values<double> values(4, table);  // a number for each last token
  prefer::rollouts source(policy, table, prompts(), &worth, reference,
                          prefer::ppo_method(values, {.kl = {.coefficient = 0.2, .target = 2.0},
                                                      .horizon = {.lambda = 0.95},
                                                      .value = {.rate = 0.05}}),
                          {.prompts = 64,
                           .completions = 1,
                           .epochs = 2,
                           .minibatches = 2,
                           .sampling = {.max_tokens = 8, .stop_token = end}});
  prefer::trainer training(policy, prefer::clipped_surrogate{}, reference, source,
                           {.steps = 200, .rate = 0.02});
  training.run([&](prefer::step_report const& step) {
    return source.last().kl < 10.0 &&
           std::isfinite(step.loss);  // the rollout's numbers, as it goes
  });
  // [/train_ppo]
  CHECK(training.done());
  CHECK(source.last().score > 1.0);  // from 0.1 and less
  CHECK(source.last().number == 50);
}
