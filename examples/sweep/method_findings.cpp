// SPDX-License-Identifier: MIT
#include "method_findings.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <prefer/metrics/over_optimisation.hpp>
#include <prefer/text/number.hpp>

#include "report.hpp"

namespace sweep {

namespace {

using prefer::text::fixed;
using prefer::text::shortest;

constexpr double levels[] = {0.1, 0.3, 1.0, 2.0, 3.0};  // nats
constexpr double told_apart = 2.0;                      // standard errors

/// What the runs of one method at one value of the swept number came to, by seed.
struct settled {
  method_setting what;
  std::vector<method_results::run_result> runs;

  [[nodiscard]] std::vector<double> each(auto const& of) const {
    std::vector<double> out;
    for (auto const& run : runs) out.push_back(of(run.points.back()));
    return out;
  }
};

judged reward_of(judgement const& quality) { return {quality.reward, quality.reward_of_tenths}; }

std::vector<judged> rewards(settled const& of) {
  std::vector<judged> out;
  for (auto const& run : of.runs) out.push_back(reward_of(run.points.back().quality));
  return out;
}
std::vector<double> kls(settled const& of) {
  return of.each([](progress_point const& p) { return p.quality.kl_start; });
}

method_setting_mean mean_of(settled const& one) {
  method_setting_mean out{.what = one.what,
                          .reward = estimate_of(rewards(one)),
                          .kl = estimate_of(kls(one)),
                          .distance = {},
                          .learned = {},
                          .kl_bound = one.runs.front().points.back().kl_bound,
                          .pair_accuracy = {}};
  std::vector<double> distance, learned, accuracy;
  for (auto const& run : one.runs) {
    auto const& at = run.points.back();
    if (at.quality.best_reward) distance.push_back(*at.quality.best_reward - at.quality.reward);
    if (at.learned_reward) learned.push_back(*at.learned_reward);
    if (at.quality.pair_accuracy) accuracy.push_back(*at.quality.pair_accuracy);
  }
  if (!distance.empty()) out.distance = estimate_of(distance);
  if (!learned.empty()) out.learned = estimate_of(learned);
  if (!accuracy.empty()) out.pair_accuracy = estimate_of(accuracy);
  return out;
}

/// Where methods begin.
struct beginning {
  std::shared_ptr<problem const> given;
  exact_problem const* exact = nullptr;  // where there is a frontier
  judged start_reward;
};

std::vector<beginning> beginnings_of(comparison const& all, ground const& at) {
  std::vector<beginning> out;
  for (std::uint64_t seed = all.first_seed; seed <= all.last_seed(); ++seed) {
    auto const given = at.of->make(seed, {});
    auto const* const exact = dynamic_cast<exact_problem const*>(given.get());
    judged const start = exact != nullptr
                             ? judged(expectation(exact->all().start, exact->all().reward))
                             : reward_of(given->start("start")->judge());
    out.push_back({given, exact, start});
  }
  return out;
}

/// reward_at of the mean and of every part.
std::optional<judged> reward_at(std::vector<judgement const*> const& policies, judged const& start,
                                double kl) {
  auto const on_the_line = [&](double begin, auto const& reward) {
    std::vector<kl_and_reward> line;
    for (auto const* each : policies) line.push_back({each->kl_start, reward(*each)});
    return sweep::reward_at(std::move(line), begin, kl);
  };
  auto const value = on_the_line(start.value, [](judgement const& of) { return of.reward; });
  if (!value) return std::nullopt;
  judged out(*value);
  for (std::size_t p = 0; p < start.parts.size(); ++p) {
    out.parts.push_back(*on_the_line(
        start.parts[p], [p](judgement const& of) { return of.reward_of_tenths.at(p); }));
  }
  return out;
}

level level_at(double kl, std::vector<std::size_t> const& methods, comparison const& all,
               std::vector<settled> const& runs, std::vector<beginning> const& beginnings) {
  level out{.kl = kl};
  std::vector<std::vector<judged>> by_seed(methods.size());
  std::vector<double> frontier;
  for (auto const& each : beginnings) {
    if (each.exact != nullptr) frontier.push_back(each.exact->best_reward(kl));
  }
  if (!frontier.empty()) out.frontier = estimate_of(frontier);
  for (std::size_t m = 0; m < methods.size(); ++m) {
    for (std::size_t s = 0; s < beginnings.size(); ++s) {
      std::vector<judgement const*> policies;
      for (auto const& one : runs) {
        if (one.what.method != methods[m]) continue;
        policies.push_back(&one.runs[s].points.back().quality);
      }
      auto const reward = reward_at(policies, beginnings[s].start_reward, kl);
      if (!reward) break;
      by_seed[m].push_back(*reward);
    }
    bool const whole = by_seed[m].size() == beginnings.size();
    out.reward.push_back(whole ? std::optional(estimate_of(by_seed[m])) : std::nullopt);
  }
  auto const dpo = std::find_if(methods.begin(), methods.end(),
                                [&](std::size_t m) { return all.methods[m]->name() == "dpo"; });
  for (std::size_t m = 0; m < methods.size(); ++m) {
    auto const d = static_cast<std::size_t>(dpo - methods.begin());
    bool const both = d < methods.size() && d != m && out.reward[d] && out.reward[m];
    out.over_dpo.push_back(both ? std::optional(paired_difference(by_seed[m], by_seed[d]))
                                : std::nullopt);
  }
  std::vector<std::size_t> ranked;
  for (std::size_t m = 0; m < methods.size(); ++m) {
    if (out.reward[m] && !all.methods[methods[m]]->is_yardstick()) ranked.push_back(m);
  }
  std::stable_sort(ranked.begin(), ranked.end(), [&](std::size_t a, std::size_t b) {
    return out.reward[a]->mean > out.reward[b]->mean;
  });
  if (!ranked.empty()) out.best = methods[ranked[0]];
  if (ranked.size() > 1) {
    out.next = methods[ranked[1]];
    out.apart = paired_difference(by_seed[ranked[0]], by_seed[ranked[1]]);
  }
  return out;
}

/// Over what is swept, the strongest pull first.
std::vector<curve_point> along_numbers(std::vector<settled> const& runs) {
  std::vector<curve_point> out;
  for (auto const& one : runs) {
    out.push_back(
        {.number = one.what.number,
         .step = one.runs.front().points.back().step,
         .truth = rewards(one),
         .learned = one.each([](auto const& p) { return p.learned_reward.value_or(NAN); }),
         .kl = kls(one)});
  }
  return out;
}

/// Over the steps of one run.
std::vector<curve_point> along_training(settled const& one) {
  std::vector<curve_point> out;
  std::size_t const points = one.runs.front().points.size();
  for (std::size_t i = 0; i < points; ++i) {
    curve_point at{.number = one.what.number, .step = one.runs.front().points[i].step};
    for (auto const& run : one.runs) {
      if (run.points.size() != points) return {};
      at.truth.push_back(reward_of(run.points[i].quality));
      at.learned.push_back(run.points[i].learned_reward.value_or(NAN));
      at.kl.push_back(run.points[i].quality.kl_start);
    }
    out.push_back(std::move(at));
  }
  return out;
}

run_cost cost_of(std::size_t method, std::vector<settled> const& runs) {
  run_cost out{.method = method, .bytes = runs.front().runs.front().bytes};
  std::vector<double> seconds(runs.front().runs.size(), 0.0);
  std::vector<double> peak(seconds);
  for (auto const& one : runs) {
    for (std::size_t s = 0; s < seconds.size(); ++s) {
      seconds[s] += one.runs[s].points.back().seconds / static_cast<double>(runs.size());
      peak[s] += static_cast<double>(one.runs[s].peak_bytes) / static_cast<double>(runs.size());
    }
    // Of best_of_n these depend on n, and the last is the largest.
    out.spent = one.runs.front().points.back().spent;
  }
  out.seconds = estimate_of(seconds);
  out.peak_bytes = estimate_of(peak);
  return out;
}

std::string in_errors(estimate const& apart) {
  return apart.error > 0.0 ? fixed(apart.mean / apart.error, 1) + " standard errors"
                           : "without a spread";
}

/// A difference that may be small, to two digits that mean something.
std::string difference(double value) { return fixed(value, std::fabs(value) < 0.01 ? 4 : 3); }

std::string sentences(comparison const& all, ground_findings const& of) {
  auto const name = [&](std::size_t m) { return all.methods[m]->name(); };
  auto const& at = all.grounds[of.ground];
  std::string out;
  for (auto const& each : of.levels) {
    if (!each.best) continue;
    std::size_t best = 0;
    while (of.methods[best] != *each.best) ++best;
    out += "At a KL of " + shortest(each.kl) + " nats " + name(*each.best) +
           " has the most reward, " + with_error(*each.reward[best]);
    if (each.frontier) out += ", where the frontier is at " + fixed(each.frontier->mean, 3);
    if (each.apart) {
      bool const clear = each.apart->mean > told_apart * each.apart->error;
      bool const no_error = all.seeds == 1 && each.apart->error == 0.0;
      out += no_error
                 ? "; the next, " + name(*each.next) + ", has " + difference(each.apart->mean) +
                       " less, which one seed has no error to judge by"
             : clear ? "; the next, " + name(*each.next) + ", has " + difference(each.apart->mean) +
                           " less, " + in_errors(*each.apart)
                     : "; it is not told apart from " + name(*each.next) + ", " +
                           in_errors(*each.apart) + " behind";
    }
    out += ". ";
  }
  method_setting_mean const* most = nullptr;
  for (auto const& each : of.settings) {
    if (all.methods[each.what.method]->is_yardstick() || !std::isfinite(each.reward.mean)) continue;
    if (most == nullptr || each.reward.mean > most->reward.mean) most = &each;
  }
  if (most != nullptr) {
    auto const& one = *all.methods[most->what.method];
    out += "The most reward of all, " + with_error(most->reward) + ", is that of " + one.name() +
           " at " + name_of(one.swept()) + " " + shortest(most->what.number) + ", " +
           fixed(most->kl.mean, 2) + " nats from the start";
    // The true reward of an exact task is a sum, and ratings are a sample of what people like.
    out +=
        of.levels.front().frontier ? ". " : "; it is the best of those judged, which flatters it. ";
  }
  if (at.options.budget == budget_kind::labels) {
    bool judged = true;
    std::string turned;
    std::string in_training;
    std::string went_on;
    for (auto const& each : of.turns) {
      auto const& one = *all.methods[each.method];
      judged = judged && each.judged;
      std::string const lost = fixed(each.kl, 2) + " nats; " + difference(each.drop.mean) +
                               " lost by the end, " + in_errors(each.drop) + ")";
      if (each.in_training) {
        if (!each.found) continue;
        in_training += (in_training.empty() ? "" : ", ") + one.name() + " at step " +
                       std::to_string(each.step) + " (" + lost;
      } else if (each.found) {
        turned += (turned.empty() ? "" : ", ") + one.name() + " at " + name_of(one.swept()) + " " +
                  shortest(each.number) + " (" + lost;
      } else {
        went_on += (went_on.empty() ? "" : ", ") + one.name();
      }
    }
    if (!turned.empty()) {
      out += "Over-optimisation, the true reward falling while the learned one rises: " + turned +
             ". ";
    }
    if (!in_training.empty()) {
      out += "In training, with the weakest pull, the true reward turns for " + in_training + ". ";
    }
    if (!judged) {
      out += "Whether the true reward turns one seed does not tell. ";
    } else if (!went_on.empty()) {
      out += "Along what is swept it does not turn for " + went_on + ". ";
    }
  }
  run_cost const* least = nullptr;
  run_cost const* greatest = nullptr;
  for (auto const& each : of.costs) {
    if (all.methods[each.method]->is_yardstick() ||
        all.methods[each.method]->swept() != swept_number::beta) {
      continue;
    }
    if (least == nullptr || each.seconds.mean < least->seconds.mean) least = &each;
    if (greatest == nullptr || each.seconds.mean > greatest->seconds.mean) greatest = &each;
  }
  if (least != nullptr && least != greatest && least->seconds.mean > 0.0) {
    out += "Of those with a beta, a run of " + name(least->method) + " takes the least time, and " +
           name(greatest->method) + " " + fixed(greatest->seconds.mean / least->seconds.mean, 1) +
           " times as much.";
  }
  return out;
}

}  // namespace

std::optional<double> reward_at(std::vector<kl_and_reward> policies, double start_reward,
                                double kl) {
  std::stable_sort(policies.begin(), policies.end(),
                   [](auto const& a, auto const& b) { return a.kl < b.kl; });
  kl_and_reward before{.kl = 0.0, .reward = start_reward};
  for (auto const& each : policies) {
    if (!std::isfinite(each.kl)) break;
    if (each.kl < kl) {
      before = each;
      continue;
    }
    // Of the start itself rounding may leave less than 0.
    double const from = before.kl > 0.0 ? std::sqrt(before.kl) : 0.0;
    double const to = std::sqrt(each.kl);
    if (to == from) return each.reward;
    double const share = (std::sqrt(kl) - from) / (to - from);
    return before.reward + share * (each.reward - before.reward);
  }
  return std::nullopt;
}

turning_point turn_of(std::vector<curve_point> const& along) {
  turning_point out;
  if (along.empty()) return out;
  std::vector<prefer::checkpoint_rewards> means;
  for (auto const& each : along) {
    means.push_back({.step = each.step,
                     .proxy = estimate_of(each.learned).mean,
                     .truth = estimate_of(each.truth).mean,
                     .kl = estimate_of(each.kl).mean});
  }
  std::size_t const peak = prefer::find_over_optimisation(std::span(std::as_const(means))).peak;
  out.drop = paired_difference(along[peak].truth, along.back().truth);
  // What has come to rest differs by rounding, at all seeds in one direction.
  double const rounding = 1e-9 * std::fabs(means[peak].truth);
  auto const judged = prefer::find_over_optimisation(
      std::span(std::as_const(means)), std::max(told_apart * out.drop.error, rounding));
  out.number = along[peak].number;
  out.step = along[peak].step;
  out.kl = means[peak].kl;
  out.learned_gain = judged.proxy_gain;
  // Of one seed any fall would be beyond twice an error of 0.
  out.judged = along.front().truth.size() > 1 || out.drop.error > 0.0;
  out.found = out.judged && judged.found;
  return out;
}

std::vector<ground_findings> findings_of(comparison const& all, method_results const& rows) {
  std::vector<ground_findings> out;
  std::vector<std::pair<std::size_t, label_noise>> comparisons;
  for (std::size_t g = 0; g < all.grounds.size(); ++g) {
    for (label_noise const& noise : all.noises_of(all.grounds[g]))
      comparisons.emplace_back(g, noise);
  }
  for (auto const& [g, noise] : comparisons) {
    auto const& at = all.grounds[g];
    ground_findings found{.ground = g, .noise = noise};
    std::vector<settled> runs;
    for (auto const& what : all.settings()) {
      if (what.ground != g || what.noise.flip != noise.flip) continue;
      runs.push_back({what, rows.at(what)});
      found.settings.push_back(mean_of(runs.back()));
      if (found.methods.empty() || found.methods.back() != what.method) {
        found.methods.push_back(what.method);
      }
    }
    auto const beginnings = beginnings_of(all, at);
    for (double const kl : levels) {
      found.levels.push_back(level_at(kl, found.methods, all, runs, beginnings));
    }
    for (std::size_t const m : found.methods) {
      std::vector<settled> own;
      for (auto const& one : runs) {
        if (one.what.method == m) own.push_back(one);
      }
      found.costs.push_back(cost_of(m, own));
      if (all.methods[m]->swept() == swept_number::beta) std::reverse(own.begin(), own.end());
      if (at.options.budget != budget_kind::labels) continue;
      auto turn = turn_of(along_numbers(own));
      turn.method = m;
      found.turns.push_back(turn);
      auto const steps = along_training(own.back());
      if (steps.size() < 2) continue;
      turn = turn_of(steps);
      turn.method = m;
      turn.in_training = true;
      found.turns.push_back(turn);
    }
    found.text = sentences(all, found);
    out.push_back(std::move(found));
  }
  return out;
}

}  // namespace sweep
