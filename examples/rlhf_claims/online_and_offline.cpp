// SPDX-License-Identifier: MIT
#include <cmath>
#include <span>

#include <prefer/loss/dpo.hpp>
#include <prefer/loss/ipo.hpp>
#include <prefer/report/line_plot.hpp>
#include <prefer/text/number.hpp>

#include "along_kl.hpp"
#include "gao.hpp"
#include "studies.hpp"
#include "world.hpp"

namespace rlhf_claims {

namespace {

std::vector<double> const dpo_betas = {4.0, 2.0, 1.4, 1.0, 0.7, 0.5, 0.25};
std::vector<double> const ipo_betas = {0.5, 0.25, 0.18, 0.125, 0.09, 0.0625, 0.03125};
constexpr std::size_t covering =
    3;  // of these, where the online policy is about a nat from the start
constexpr std::size_t pair_count = 500;
constexpr double kls[] = {0.25, 0.5, 1.0};

template <class L>
void compare(std::string const& name, sequence_world const& world, weighted_pairs const& pairs,
             numbers const& learned, std::vector<double> const& betas,
             std::vector<kl_point> const& rlhf, std::vector<measured>& out) {
  auto const& problem = world.problem();
  std::vector<kl_point> offline, online;
  learner own(world.policy(), world.completions());
  for (double const beta : betas) {
    L const loss{.beta = beta};
    learner fixed(world.policy(), world.completions());
    fixed.train(pair_objective(loss, pairs, &problem.start),
                beta * beta * reward_ridge / static_cast<double>(pairs.drawn));
    offline.push_back(judged(problem, fixed.log_prob(), beta, {}));
    auto const end = train_online(loss, own, learned, problem.start);
    numbers const written = own.log_prob();
    online.push_back(judged(problem, written, beta, {}));
    out.push_back({name, "online", beta, "kl from the writer", end.apart});
    if (beta == betas[covering]) {
      // Offline, but on the pairs that the online policy writes in the end.
      auto const covered = every_pair(written, learned);
      learner again(world.policy(), world.completions());
      again.train(pair_objective(loss, covered, &problem.start));
      out.push_back({name, "offline on own pairs", 0, "kl from the online policy",
                     divergence(again.log_prob(), written)});
    }
  }
  add_path(name, "offline", offline, out);
  add_path(name, "online", online, out);
  for (double const kl : kls) {
    auto const difference = [&](std::vector<kl_point> const& one, std::vector<kl_point> const& two,
                                double kl_point::*what) {
      return at_kl(one, kl, what) - at_kl(two, kl, what);
    };
    out.push_back({name, "online - offline", kl, "true reward",
                   difference(online, offline, &kl_point::reward)});
    out.push_back({name, "online - offline", kl, "accuracy",
                   difference(online, offline, &kl_point::accuracy)});
    out.push_back(
        {name, "online - rlhf", kl, "true reward", difference(online, rlhf, &kl_point::reward)});
  }
}

std::vector<measured> one_seed(std::uint64_t seed) {
  sequence_world const world(seed);
  auto const& problem = world.problem();
  auto const pairs = draw_pairs(problem, pair_count, seed);
  auto const learned = fitted_reward(pairs, world.completions());
  std::vector<kl_point> rlhf;
  learner policy(world.policy(), world.completions());
  for (double const beta : dpo_betas) {
    policy.train(reward_objective(learned, problem.start, beta));
    rlhf.push_back(judged(problem, policy.log_prob(), beta, {}));
  }
  std::vector<measured> out;
  out.push_back({"reward model", "fitted", 0, "accuracy", pair_accuracy(problem, learned)});
  add_path("reward model", "rlhf", rlhf, out);
  compare<prefer::dpo>("dpo", world, pairs, learned, dpo_betas, rlhf, out);
  compare<prefer::ipo_sum>("ipo_sum", world, pairs, learned, ipo_betas, rlhf, out);
  return out;
}

std::vector<verdict> verdicts(found const& all) {
  using prefer::text::fixed;
  std::vector<verdict> out;
  for (char const* const loss : {"dpo", "ipo_sum"}) {
    auto const& reward = all.row(loss, "online - offline", "true reward", 1.0);
    auto const& accuracy = all.row(loss, "online - offline", "accuracy", 1.0);
    double const gain = errors_from_zero(reward);
    double const better = errors_from_zero(accuracy);
    out.push_back({std::string("Online is above offline at equal KL (") + loss + ")",
                   gain > 2.0    ? "holds"
                   : gain < -2.0 ? "the reverse"
                                 : "undecided",
                   "at 1 nat online has " + in_words(reward) + " more true reward (" +
                       fixed(gain, 1) + " standard errors; at 0.25 nats " +
                       in_words(all.row(loss, "online - offline", "true reward", 0.25)) + ")"});
    out.push_back(
        {std::string("Offline is the better classifier and the worse generator (") + loss + ")",
         better < -2.0 && gain > 2.0 ? "holds"
         : better > 2.0              ? "does not hold"
                                     : "undecided",
         "at 1 nat the accuracy of the online policy's log-ratio is " + in_words(accuracy) +
             " above that of the offline one (" + fixed(better, 1) + " standard errors)"});
    auto const& covered = all.row(loss, "offline on own pairs", "kl from the online policy");
    out.push_back(
        {std::string("Pairs like those of the online policy do not close the gap (") + loss + ")",
         covered.mean < 1e-3 ? "does not hold" : "holds",
         "trained offline to the end on what the online policy writes, a policy is " +
             prefer::text::shortest(std::round(covered.mean * 1e9) / 1e9) + " nats from it"});
  }
  return out;
}

void draw(std::string const& path, found const& all) {
  prefer::report::plot_row row;
  struct panel {
    char const* loss;
    char const* measure;
    char const* label;
  };
  for (auto const& [loss, measure, label] :
       {panel{"dpo", "true reward", "true reward above the start's"},
        panel{"ipo_sum", "true reward", "true reward above the start's"},
        panel{"dpo", "accuracy", "accuracy of the log-ratio"}}) {
    prefer::report::line_plot plot{
        .title = std::string(loss) + ": " + measure,
        .x = {.label = "KL from the start, nats", .min = 0.0, .max = 2.5},
        .y = {.label = label},
        .width = 360};
    for (auto const& [method, setting] : {std::pair<char const*, char const*>{"online", loss},
                                          {"offline", loss},
                                          {"rlhf", "reward model"}}) {
      auto const kl = all.along(setting, method, "kl");
      auto const value = all.along(setting, method, measure);
      prefer::report::series line{.name = method};
      for (std::size_t i = 0; i != kl.size(); ++i) {
        line.points.push_back({.x = kl[i].mean,
                               .y = value[i].mean,
                               .y_error = value[i].standard_error,
                               .x_error = kl[i].standard_error});
      }
      plot.add(std::move(line));
    }
    row.plots.push_back(std::move(plot));
  }
  row.write(path);
}

}  // namespace

study online_and_offline() {
  return {"online_and_offline", "Tang et al. 2024, arXiv:2405.08448", one_seed, verdicts, draw};
}

}  // namespace rlhf_claims
