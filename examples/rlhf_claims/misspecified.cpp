// SPDX-License-Identifier: MIT
#include <cmath>
#include <span>

#include <prefer/loss/bradley_terry.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/model/log_linear.hpp>
#include <prefer/report/line_plot.hpp>
#include <prefer/reward/reward_model.hpp>
#include <prefer/text/number.hpp>

#include "learn.hpp"
#include "studies.hpp"

namespace rlhf_claims {

namespace {

constexpr std::size_t completions = 64;
constexpr std::size_t all_features = 8;
constexpr std::size_t some_features = 4;
constexpr double beta = 0.5;
constexpr double ridge = 0.1;  // of all pairs together
std::vector<std::size_t> const pair_counts = {50, 200, 1000, 5000};

/// Features, N(0, 1) each: reward = sum_f features_f * weight_f, of variance 1. The start is
/// uniform, so that a log-linear policy of the same features holds the optimum.
struct linear_world {
  numbers features;  // [completions, all_features]
  listed_problem problem;

  /// The reward needs the first `needed` features.
  linear_world(std::uint64_t seed, std::size_t needed)
      : features(draw_normal(completions * all_features, seed, drawn::features, 1.0)) {
    numbers weight =
        draw_normal(needed, seed, drawn::reward, 1.0 / std::sqrt(static_cast<double>(needed)));
    weight.resize(all_features);
    problem.start = numbers(completions, -std::log(static_cast<double>(completions)));
    problem.reward = numbers(completions);
    for (std::size_t i = 0; i != features.size(); ++i) {
      problem.reward[i / all_features] += features[i] * weight[i % all_features];
    }
  }

  /// Linear in the first features, as a policy or as a reward model.
  [[nodiscard]] prefer::log_linear<double> first(std::size_t count) const {
    numbers of;
    for (std::size_t i = 0; i != features.size(); ++i) {
      if (i % all_features < count) of.push_back(features[i]);
    }
    return prefer::log_linear<double>(1, completions, count, std::move(of));
  }
};

/// E[true reward] - beta * KL(policy || start)
double value_of(linear_world const& world, numbers const& policy) {
  return expected(policy, world.problem.reward) - beta * divergence(policy, world.problem.start);
}

/// A reward model fitted on the pairs, then the policy that is best by it: the two stages.
numbers in_two_stages(linear_world const& world, weighted_pairs const& pairs,
                      std::size_t reward_features, std::size_t policy_features) {
  double const pull = pairs.drawn == 0 ? 0.0 : ridge / static_cast<double>(pairs.drawn);
  learner reward(prefer::logit_score(world.first(reward_features)), completions);
  reward.train(pair_objective(prefer::bradley_terry{}, pairs, nullptr), pull);
  numbers const learned = reward.log_prob();
  learner policy(world.first(policy_features), completions);
  policy.train(reward_objective(learned, world.problem.start, beta));
  return policy.log_prob();
}

numbers directly(linear_world const& world, weighted_pairs const& pairs,
                 std::size_t policy_features) {
  // A weight of the reward model is beta times one of the policy: the same pull to 0.
  double const pull =
      pairs.drawn == 0 ? 0.0 : beta * beta * ridge / static_cast<double>(pairs.drawn);
  learner policy(world.first(policy_features), completions);
  policy.train(pair_objective(prefer::dpo{.beta = beta}, pairs, &world.problem.start), pull);
  return policy.log_prob();
}

struct classes {
  char const* setting;
  std::size_t reward;
  std::size_t policy;
  std::size_t needed = all_features;
};
constexpr classes all_classes[] = {{"both hold the truth", all_features, all_features},
                                   {"reward class alone", all_features, some_features},
                                   {"policy class alone", some_features, all_features},
                                   {"neither", some_features, some_features},
                                   {"a smaller reward class", 2, all_features, 2}};

std::vector<measured> one_seed(std::uint64_t seed) {
  std::vector<measured> out;
  for (classes const& of : all_classes) {
    std::size_t const reward = of.reward;
    std::size_t const policy = of.policy;
    linear_world const world(seed, of.needed);
    double const best =
        value_of(world, tilted(world.problem.start, world.problem.reward, 1.0 / beta));
    auto const everything = every_pair(world.problem.start, world.problem.reward);
    auto const samples = draw_pairs(world.problem, pair_counts, seed);
    auto const add = [&](char const* method, double at, char const* what, double value) {
      out.push_back({of.setting, method, at, what, value});
    };
    learner in_class(world.first(policy), completions);
    in_class.train(reward_objective(world.problem.reward, world.problem.start, beta));
    add("best of the policy class", 0, "regret", best - value_of(world, in_class.log_prob()));
    double const rlhf = value_of(world, in_two_stages(world, everything, reward, policy));
    double const dpo = value_of(world, directly(world, everything, policy));
    learner online(world.first(policy), completions);
    auto const end =
        train_online(prefer::dpo{.beta = beta}, online, world.problem.reward, world.problem.start);
    double const online_dpo = value_of(world, online.log_prob());
    add("rlhf", 0, "regret", best - rlhf);
    add("dpo", 0, "regret", best - dpo);
    add("online_dpo", 0, "regret", best - online_dpo);
    add("online_dpo", 0, "kl from the writer", end.apart);
    add("rlhf - dpo", 0, "value", rlhf - dpo);
    add("online_dpo - dpo", 0, "value", online_dpo - dpo);
    add("online_dpo - rlhf", 0, "value", online_dpo - rlhf);
    for (std::size_t i = 0; i != samples.size(); ++i) {
      auto const count = static_cast<double>(pair_counts[i]);
      double const two = value_of(world, in_two_stages(world, samples[i], reward, policy));
      double const one = value_of(world, directly(world, samples[i], policy));
      add("rlhf", count, "regret", best - two);
      add("dpo", count, "regret", best - one);
      add("rlhf - dpo", count, "value", two - one);
    }
  }
  return out;
}

std::vector<verdict> verdicts(found const& all) {
  using prefer::text::fixed;
  std::vector<verdict> out;
  auto const compared = [&](char const* claim, char const* setting, char const* pair, double at,
                            bool expects_gain) {
    auto const& gain = all.row(setting, pair, "value", at);
    double const errors = errors_from_zero(gain);
    bool const as_said = expects_gain ? errors > 2.0 : errors < -2.0;
    out.push_back({claim,
                   as_said                   ? "holds"
                   : std::fabs(errors) > 2.0 ? "the reverse"
                                             : "undecided",
                   std::string(pair) + " = " + in_words(gain, 4) + " of value, " +
                       fixed(errors, 1) + " standard errors, " + setting +
                       (at == 0.0 ? ", exactly" : ", of " + fixed(at, 0) + " pairs")});
  };
  auto const& same = all.row("both hold the truth", "rlhf - dpo", "value");
  out.push_back({"Where both classes hold the truth, RLHF and DPO are one",
                 std::fabs(same.mean) < 1e-6 ? "holds" : "does not hold",
                 "their values differ by " + prefer::text::shortest(same.mean)});
  compared("Where the reward class alone holds it, RLHF is above DPO", "reward class alone",
           "rlhf - dpo", 0, true);
  compared("Where the policy class alone holds it, DPO is above RLHF", "policy class alone",
           "rlhf - dpo", 0, false);
  auto const& neither = all.row("neither", "rlhf - dpo", "value");
  out.push_back({"Where neither does and the classes are alike, RLHF and DPO are one",
                 std::fabs(neither.mean) < 1e-6 ? "holds" : "does not hold",
                 "their values differ by " + prefer::text::shortest(neither.mean)});
  compared("and online DPO may be above both", "neither", "online_dpo - dpo", 0, true);
  compared("Few pairs: the two stages are above where the reward class alone holds the truth",
           "reward class alone", "rlhf - dpo", 50, true);
  compared("Few pairs: the two stages are above where both hold it and the reward class is smaller",
           "a smaller reward class", "rlhf - dpo", 50, true);
  return out;
}

void draw(std::string const& path, found const& all) {
  prefer::report::plot_row row;
  for (auto const& of : all_classes) {
    prefer::report::line_plot plot{.title = of.setting,
                                   .x = {.label = "pairs",
                                         .scale = prefer::report::scale::log,
                                         .ticks = {50, 200, 1000, 5000}},
                                   .y = {.label = "value lost", .min = 0.0},
                                   .width = 330};
    for (char const* const method : {"rlhf", "dpo"}) {
      prefer::report::series line{.name = method, .dashed = method[0] == 'd'};
      for (auto const& each : all.along(of.setting, method, "regret")) {
        if (each.at > 0.0) {
          line.points.push_back({.x = each.at, .y = each.mean, .y_error = each.standard_error});
        }
      }
      plot.add(std::move(line));
    }
    plot.add_horizontal({.y = all.row(of.setting, "best of the policy class", "regret").mean,
                         .label = "best of the policy class"});
    row.plots.push_back(std::move(plot));
  }
  row.write(path);
}

}  // namespace

study misspecified() {
  return {"misspecified", "Shi et al. 2025, arXiv:2505.19770", one_seed, verdicts, draw};
}

}  // namespace rlhf_claims
