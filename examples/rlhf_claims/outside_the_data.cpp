// SPDX-License-Identifier: MIT
#include <cmath>
#include <span>

#include <prefer/loss/dpo.hpp>
#include <prefer/model/tabular.hpp>
#include <prefer/report/line_plot.hpp>
#include <prefer/text/number.hpp>

#include "along_kl.hpp"
#include "gao.hpp"
#include "studies.hpp"
#include "world.hpp"

namespace rlhf_claims {

namespace {

constexpr double betas[] = {4.0, 2.0, 1.0, 0.5, 0.25};
constexpr double one_nat = 1.0;
std::vector<std::size_t> const pair_counts = {50, 200};

/// The paper's argument: three actions, a pair of the first two, and the third hardly written by the start. The loss looks at
/// the first two alone, the divergence at all.
void three_actions(std::vector<measured>& out) {
  constexpr double rare = 1e-6;
  constexpr double beta = 0.5;
  constexpr double gone = 1e-9;  // what is left of the rejected one
  numbers const start = {std::log(0.5 - 0.5 * rare), std::log(0.5 - 0.5 * rare), std::log(rare)};
  weighted_pairs const pair{.chosen = {0}, .rejected = {1}, .weight = {1.0}, .drawn = 1};
  for (double const outside : {0.0, 0.5, 0.9}) {
    double const third = outside == 0.0 ? rare : outside;
    // As the loss is of a margin, what it takes from the chosen one it has to take from the rejected one as well.
    numbers const policy = {std::log1p(-third) + std::log1p(-gone),
                            std::log1p(-third) + std::log(gone), std::log(third)};
    numbers slope(3);
    double const loss = pair_objective(prefer::dpo{.beta = beta}, pair, &start)(policy, slope);
    out.push_back({"three actions", "dpo", outside, "loss", loss});
    out.push_back({"three actions", "dpo", outside, "kl", divergence(policy, start)});
  }
}

std::vector<measured> one_seed(std::uint64_t seed) {
  std::vector<measured> out;
  three_actions(out);
  sequence_world const world(seed);
  auto const& problem = world.problem();
  auto const samples = draw_pairs(problem, pair_counts, seed);
  for (std::size_t i = 0; i != samples.size(); ++i) {
    auto const& pairs = samples[i];
    std::string const of = " of " + std::to_string(pair_counts[i]) + " pairs";
    auto const seen = pairs.seen(world.completions());
    auto const learned = fitted_reward(pairs, world.completions());
    std::vector<kl_point> table_dpo, table_rlhf, dpo, rlhf;
    double apart = 0.0;
    learner by_reward(world.policy(), world.completions());
    for (double const beta : betas) {
      // One pull to the start for all: a parameter of a reward is beta times one of a policy.
      double const pull = beta * beta * reward_ridge / static_cast<double>(pairs.drawn);
      prefer::dpo const loss{.beta = beta};
      learner table(prefer::tabular<double>(1, world.completions(), problem.start),
                    world.completions());
      table.train(pair_objective(loss, pairs, &problem.start), pull);
      numbers const direct = table.log_prob();
      numbers const optimum = tilted(problem.start, learned, 1.0 / beta);
      for (std::size_t y = 0; y != direct.size(); ++y) {
        apart = std::max(apart, std::fabs(std::exp(direct[y]) - std::exp(optimum[y])));
      }
      table_dpo.push_back(judged(problem, direct, beta, seen));
      table_rlhf.push_back(judged(problem, optimum, beta, seen));
      learner policy(world.policy(), world.completions());
      policy.train(pair_objective(loss, pairs, &problem.start), pull);
      dpo.push_back(judged(problem, policy.log_prob(), beta, seen));
      by_reward.train(reward_objective(learned, problem.start, beta));
      rlhf.push_back(judged(problem, by_reward.log_prob(), beta, seen));
    }
    auto const compare = [&](std::string const& setting, std::vector<kl_point> const& one,
                             std::vector<kl_point> const& two) {
      add_path(setting, "dpo", one, out);
      add_path(setting, "rlhf", two, out);
      double mass = 0.0;
      for (std::size_t y = 0; y != seen.size(); ++y)
        mass += seen[y] ? 0.0 : std::exp(problem.start[y]);
      out.push_back({setting, "start", 0, "mass outside", mass});
      out.push_back(
          {setting, "dpo - rlhf", one_nat, "mass outside",
           at_kl(one, one_nat, &kl_point::outside) - at_kl(two, one_nat, &kl_point::outside)});
      out.push_back(
          {setting, "dpo - rlhf", one_nat, "true reward",
           at_kl(one, one_nat, &kl_point::reward) - at_kl(two, one_nat, &kl_point::reward)});
    };
    compare("a table" + of, table_dpo, table_rlhf);
    out.push_back({"a table" + of, "dpo - rlhf", 0, "largest difference of a probability", apart});
    compare("a bigram" + of, dpo, rlhf);
  }
  return out;
}

std::vector<verdict> verdicts(found const& all) {
  using prefer::text::fixed;
  std::vector<verdict> out;
  auto const& zero = all.row("three actions", "dpo", "loss", 0.0);
  auto const& most = all.row("three actions", "dpo", "loss", 0.9);
  out.push_back(
      {"DPO's minimisers include policies with mass where no pair is; those of the pipeline do not",
       std::fabs(zero.mean - most.mean) < 1e-6 ? "holds" : "does not hold",
       "of three actions, with mass 0 and 0.9 on the one that no pair shows, DPO's loss is " +
           prefer::text::shortest(zero.mean) + " and " + prefer::text::shortest(most.mean) +
           ", the KL divergence " + fixed(all.row("three actions", "dpo", "kl", 0.0).mean, 2) +
           " and " + fixed(all.row("three actions", "dpo", "kl", 0.9).mean, 2) + " nats"});
  auto const& table =
      all.row("a table of 50 pairs", "dpo - rlhf", "largest difference of a probability");
  out.push_back({"Training by DPO goes there, with one free logit per completion",
                 table.mean < 1e-6 ? "does not hold" : "holds",
                 "from the start, DPO and the pipeline end in one policy; the largest difference "
                 "of a probability is " +
                     prefer::text::shortest(table.mean) + ", the mean of seeds"});
  for (char const* const setting : {"a bigram of 50 pairs", "a bigram of 200 pairs"}) {
    auto const& mass = all.row(setting, "dpo - rlhf", "mass outside", one_nat);
    auto const& reward = all.row(setting, "dpo - rlhf", "true reward", one_nat);
    double const errors = errors_from_zero(mass);
    out.push_back({std::string("Training by DPO goes there, where completions share parameters (") +
                       setting + ")",
                   errors > 2.0    ? "holds"
                   : errors < -2.0 ? "the reverse"
                                   : "undecided",
                   "at 1 nat DPO has " + in_words(mass) + " more mass outside than the pipeline (" +
                       fixed(errors, 1) + " standard errors), and " + in_words(reward) +
                       " more true reward"});
  }
  return out;
}

void draw(std::string const& path, found const& all) {
  prefer::report::plot_row row;
  for (char const* const setting :
       {"a table of 50 pairs", "a bigram of 50 pairs", "a bigram of 200 pairs"}) {
    prefer::report::line_plot plot{.title = setting,
                                   .x = {.label = "KL from the start, nats"},
                                   .y = {.label = "mass on what no pair shows", .min = 0.0},
                                   .width = 360};
    for (char const* const method : {"dpo", "rlhf"}) {
      auto const kl = all.along(setting, method, "kl");
      auto const mass = all.along(setting, method, "mass outside");
      prefer::report::series line{.name = method, .dashed = method[0] == 'r'};
      for (std::size_t i = 0; i != kl.size(); ++i) {
        line.points.push_back({.x = kl[i].mean,
                               .y = mass[i].mean,
                               .y_error = mass[i].standard_error,
                               .x_error = kl[i].standard_error});
      }
      plot.add(std::move(line));
    }
    plot.add_horizontal(
        {.y = all.row(setting, "start", "mass outside").mean, .label = "the start"});
    row.plots.push_back(std::move(plot));
  }
  row.write(path);
}

}  // namespace

study outside_the_data() {
  return {"outside_the_data", "Xu et al. 2024, arXiv:2404.10719", one_seed, verdicts, draw};
}

}  // namespace rlhf_claims
