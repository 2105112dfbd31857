// SPDX-License-Identifier: MIT
#include "ppo.hpp"

#include <span>
#include <utility>
#include <vector>

#include <prefer/loss/ppo.hpp>
#include <prefer/model/tabular.hpp>
#include <prefer/model/values.hpp>
#include <prefer/policy/one_token.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/reference/moving_average.hpp>
#include <prefer/train/ppo_method.hpp>
#include <prefer/train/rollouts.hpp>
#include <prefer/train/trainer.hpp>

namespace rlhf_claims {

optimised_path ppo_path(listed_problem const& of, numbers const& learned, std::uint64_t seed) {
  constexpr std::size_t batch = 256;
  constexpr std::uint64_t rollouts = 160;
  constexpr std::uint64_t epochs = 4;
  constexpr std::uint64_t between = 4;  // rollouts from one look to the next
  prefer::token_table table;
  prefer::one_token policy(prefer::tabular<double>(1, of.start.size(), of.start), table);
  auto reference = prefer::frozen(policy);
  prefer::prompt_values<double> values(1);
  prefer::rollouts source(
      policy, table, std::vector<std::uint32_t>(batch, 0),
      [&](std::uint32_t, std::span<std::uint32_t const> tokens) { return learned[tokens[0]]; },
      reference, prefer::ppo_method(values, {.kl = {.coefficient = 0.0}, .value = {.rate = 0.1}}),
      {.prompts = batch,
       .completions = 1,
       .epochs = epochs,
       .minibatches = 1,
       .sampling = {.max_tokens = 1},
       .seed = seed});
  prefer::trainer training(policy, prefer::clipped_surrogate{}, reference, source,
                           {.steps = rollouts * epochs, .rate = 0.03});
  double const truth = expected(of.start, of.reward);
  double const score = expected(of.start, learned);
  optimised_path out = {{}};
  training.run([&](auto const& report) {
    if (report.step % (between * epochs) == 0) {
      numbers now(of.start.size());
      policy.policy().log_probs(0, std::span(now));
      out.push_back({.at = static_cast<double>(report.step / epochs * batch),
                     .kl = divergence(now, of.start),
                     .truth = expected(now, of.reward) - truth,
                     .learned = expected(now, learned) - score});
    }
    return true;
  });
  return out;
}

namespace {

/// The number of a sequence among all: they count up, the last token fastest.
std::uint32_t number_of(std::span<std::uint32_t const> tokens) {
  std::uint32_t out = 0;
  for (std::uint32_t const token : tokens) {
    out = out * static_cast<std::uint32_t>(sequence_world::vocabulary) + token;
  }
  return out;
}

template <class R>
numbers train_near(R& reference, prefer::bigram<double>& policy, prefer::token_table& table,
                   numbers const& learned, ppo_setting const& how, std::uint64_t seed) {
  constexpr std::uint64_t epochs = 2;
  std::size_t const all = learned.size();
  prefer::state_values<double> values(sequence_world::vocabulary, table, sequence_world::length);
  prefer::rollouts source(policy, table, std::vector<std::uint32_t>(how.batch, 0),
                          [&](std::uint32_t, std::span<std::uint32_t const> tokens) {
                            return learned[number_of(tokens)];
                          },
                          reference,
                          prefer::ppo_method(values, {.kl = {.coefficient = ppo_beta},
                                                      .whiten_advantages = how.whiten_advantages,
                                                      .value = {.rate = how.rate}}),
                          {.prompts = how.batch,
                           .completions = 1,
                           .epochs = epochs,
                           .minibatches = 1,
                           .sampling = {.max_tokens = sequence_world::length},
                           .seed = seed});
  prefer::trainer training(policy, prefer::clipped_surrogate{}, reference, source,
                           {.steps = ppo_completions / how.batch * epochs, .rate = how.rate});
  training.run();
  std::vector<std::uint32_t> const prompt = {0};
  std::vector<std::uint32_t> every(all);
  for (std::size_t y = 0; y != all; ++y) every[y] = static_cast<std::uint32_t>(y);
  std::vector<std::size_t> const offset = {0, all};
  numbers out(all);
  policy.log_prob(prefer::choice_batch{prompt, every, offset}, std::span(out));
  return out;
}

}  // namespace

numbers trained_by_ppo(sequence_world const& world, numbers const& learned, ppo_setting const& how,
                       std::uint64_t seed) {
  auto table =
      prefer::token_table::all_of_length(sequence_world::vocabulary, sequence_world::length);
  prefer::bigram<double> policy(sequence_world::vocabulary, table, world.logits());
  prefer::bigram<double> const start(sequence_world::vocabulary, table, world.logits());
  if (how.moving_reference) {
    prefer::moving_average reference(start, prefer::ema{.rate = 0.01});
    return train_near(reference, policy, table, learned, how, seed);
  }
  auto reference = prefer::frozen(start);
  return train_near(reference, policy, table, learned, how, seed);
}

}  // namespace rlhf_claims
