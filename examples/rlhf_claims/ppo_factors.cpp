// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <utility>

#include <prefer/report/line_plot.hpp>
#include <prefer/text/number.hpp>

#include "along_kl.hpp"
#include "ppo.hpp"
#include "studies.hpp"

namespace rlhf_claims {

namespace {

constexpr std::size_t pair_count = 500;
constexpr char const* setting = "8192 completions";
std::vector<double> const rates = {0.003, 0.01, 0.03, 0.1};

struct variant {
  char const* name;
  ppo_setting how;
};
variant const variants[] = {
    {"plain", {}},
    {"whitened", {.whiten_advantages = true}},
    {"whitened and 128 a rollout", {.whiten_advantages = true, .batch = 128}},
    {"128 a rollout", {.batch = 128}},
    {"all and a moving reference",
     {.whiten_advantages = true, .batch = 128, .moving_reference = true}}};

std::vector<measured> one_seed(std::uint64_t seed) {
  sequence_world const world(seed);
  auto const& problem = world.problem();
  auto const learned = fitted_reward(draw_pairs(problem, pair_count, seed), world.completions());
  auto const value_of = [&](numbers const& policy) {
    return expected(policy, learned) - ppo_beta * divergence(policy, problem.start);
  };
  learner exact(world.policy(), world.completions());
  exact.train(reward_objective(learned, problem.start, ppo_beta));
  double const best = value_of(exact.log_prob());
  std::vector<measured> out;
  auto const reference = judged(problem, exact.log_prob(), ppo_beta, {});
  out.push_back({setting, "exact", 0, "true reward", reference.reward});
  out.push_back({setting, "exact", 0, "kl", reference.kl});
  for (auto const& [name, how] : variants) {
    for (double const rate : rates) {
      auto tuned = how;
      tuned.rate = rate;
      auto const policy = trained_by_ppo(world, learned, tuned, seed);
      auto const found = judged(problem, policy, ppo_beta, {});
      out.push_back({setting, name, rate, "short of the optimum", best - value_of(policy)});
      out.push_back({setting, name, rate, "true reward", found.reward});
      out.push_back({setting, name, rate, "kl", found.kl});
    }
  }
  return out;
}

/// At the learning rate that suits the variant best.
mean_of_seeds best_of(found const& all, char const* name) {
  auto const rows = all.along(setting, name, "short of the optimum");
  return *std::min_element(rows.begin(), rows.end(),
                           [](auto const& a, auto const& b) { return a.mean < b.mean; });
}

std::vector<verdict> verdicts(found const& all) {
  using prefer::text::fixed;
  std::vector<verdict> out;
  auto const compare = [&](char const* claim, char const* without, char const* with) {
    auto const before = best_of(all, without);
    auto const after = best_of(all, with);
    double const gain = before.mean - after.mean;
    double const errors = gain / std::hypot(before.standard_error, after.standard_error);
    out.push_back({claim,
                   errors > 2.0    ? "holds"
                   : errors < -2.0 ? "the reverse"
                                   : "undecided",
                   "what PPO misses of its optimum is " + in_words(before) + " " + without +
                       " and " + in_words(after) + " " + with +
                       ", each at its best learning rate, " + prefer::text::shortest(before.at) +
                       " and " + prefer::text::shortest(after.at) + " (" + fixed(errors, 1) +
                       " standard errors, as if of different seeds)"});
  };
  compare("Whitening advantages helps PPO", "plain", "whitened");
  compare("Large batches help PPO", "whitened", "whitened and 128 a rollout");
  auto const still = best_of(all, "whitened and 128 a rollout");
  auto const moving = best_of(all, "all and a moving reference");
  auto const& kl = all.row(setting, "all and a moving reference", "kl", still.at);
  auto const& reward = all.row(setting, "all and a moving reference", "true reward", still.at);
  auto const& fixed_kl = all.row(setting, "whitened and 128 a rollout", "kl", still.at);
  auto const& fixed_reward =
      all.row(setting, "whitened and 128 a rollout", "true reward", still.at);
  double const errors = (reward.mean - fixed_reward.mean) /
                        std::hypot(reward.standard_error, fixed_reward.standard_error);
  out.push_back({"A moving reference helps PPO to reward",
                 errors > 2.0    ? "holds"
                 : errors < -2.0 ? "the reverse"
                                 : "undecided",
                 "true reward " + in_words(reward) + " at " + in_words(kl, 2) + " nats against " +
                     in_words(fixed_reward) + " at " + in_words(fixed_kl, 2) + " near the start (" +
                     fixed(errors, 1) +
                     " standard errors); of the objective near the start it misses " +
                     in_words(moving) + " against " + in_words(still)});
  return out;
}

void draw(std::string const& path, found const& all) {
  prefer::report::line_plot plot{
      .title = "PPO on sequences, " + std::string(setting),
      .x = {.label = "learning rate", .scale = prefer::report::scale::log, .ticks = rates},
      .y = {.label = "short of the optimum of its own objective"}};
  for (auto const& [name, how] : variants) {
    prefer::report::series line{.name = name};
    for (auto const& each : all.along(setting, name, "short of the optimum")) {
      line.points.push_back({.x = each.at, .y = each.mean, .y_error = each.standard_error});
    }
    plot.add(std::move(line));
  }
  plot.write(path);
}

}  // namespace

study ppo_factors() {
  return {"ppo_factors", "Xu et al. 2024, arXiv:2404.10719, on PPO", one_seed, verdicts, draw};
}

}  // namespace rlhf_claims
