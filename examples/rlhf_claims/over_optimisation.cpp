// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <span>

#include <prefer/metrics/over_optimisation.hpp>
#include <prefer/report/line_plot.hpp>
#include <prefer/reward/reward_model.hpp>
#include <prefer/text/number.hpp>

#include "gao.hpp"
#include "learn.hpp"
#include "ppo.hpp"
#include "studies.hpp"

namespace rlhf_claims {

namespace {

constexpr std::size_t completions = 64;
constexpr std::size_t members = 5;
constexpr double careful = 1.0;  // deviations that an ensemble is marked down by
std::vector<std::size_t> const pair_counts = {50, 500, 2000, 10000};

std::string setting_of(std::size_t pairs) { return std::to_string(pairs) + " pairs"; }

/// What is measured of one way to optimise one reward.
void measure_path(std::string const& setting, std::string const& method, optimised_path const& path,
                  curve form, std::vector<measured>& out) {
  auto const add = [&](char const* what, double at, double value) {
    out.push_back({setting, method, at, what, value});
  };
  for (auto const& point : path) {
    add("distance", point.at, std::sqrt(point.kl));
    add("true reward", point.at, point.truth);
    add("learned reward", point.at, point.learned);
    add("lost from here on", point.at, point.truth - path.back().truth);
  }
  std::vector<prefer::checkpoint_rewards> steps;
  for (auto const& point : path) {
    steps.push_back({.proxy = point.learned, .truth = point.truth, .kl = point.kl});
  }
  auto const turn =
      prefer::find_over_optimisation(std::span<prefer::checkpoint_rewards const>(steps));
  add("turns", 0, turn.found ? 1.0 : 0.0);
  add("distance at the turn", 0, turn.distance_at_peak);
  add("true reward at the turn", 0, path[turn.peak].truth);
  add("lost after the turn", 0, turn.drop);
  auto const fit = fit_curve(path, form);
  auto const other =
      fit_curve(path, form == curve::best_of_n ? curve::reinforcement : curve::best_of_n);
  add("alpha", 0, fit.alpha);
  add("beta", 0, fit.beta);
  add("residual", 0, fit.residual);
  add("residual of the other form", 0, other.residual);
  add("distance at the fitted turn", 0, fit.turn);
}

/// Scores that stay.
struct scores {
  using value_type = double;
  numbers of;
  void log_prob(prefer::choice_batch const& batch, std::span<double> out) const {
    for (std::size_t i = 0; i != out.size(); ++i) out[i] = of[batch.completion[i]];
  }
};

numbers ensemble_of(weighted_pairs const& pairs, std::uint64_t seed) {
  std::vector<scores> all;
  for (std::size_t m = 0; m != members; ++m) {
    all.push_back(scores{fitted_reward(resampled(pairs, seed, m), completions)});
  }
  prefer::reward_ensemble<scores> ensemble(std::move(all), careful);
  std::vector<std::uint32_t> const prompt = {0};
  std::vector<std::uint32_t> every(completions);
  for (std::size_t y = 0; y != completions; ++y) every[y] = static_cast<std::uint32_t>(y);
  std::vector<std::size_t> const offset = {0, completions};
  numbers out(completions);
  ensemble.log_prob(prefer::choice_batch{prompt, every, offset}, std::span(out));
  return out;
}

std::vector<measured> one_seed(std::uint64_t seed) {
  auto const problem = over_optimised_problem(seed);
  auto const pairs = draw_pairs(problem, pair_counts, seed);
  std::vector<measured> out;
  for (std::size_t i = 0; i != pairs.size(); ++i) {
    auto const setting = setting_of(pair_counts[i]);
    auto const one = fitted_reward(pairs[i], completions);
    auto const several = ensemble_of(pairs[i], seed);
    out.push_back({setting, "reward model", 0, "accuracy", pair_accuracy(problem, one)});
    auto const compare = [&](std::string const& method, curve form, auto const& path_of) {
      auto const single = path_of(problem, one);
      auto const careful_path = path_of(problem, several);
      measure_path(setting, method, single, form, out);
      measure_path(setting, method + " by ensemble", careful_path, form, out);
      out.push_back({setting, method + " by ensemble", 0, "above the single model at the end",
                     careful_path.back().truth - single.back().truth});
    };
    if (i == 0)
      measure_path(setting, "ppo", ppo_path(problem, one, seed), curve::reinforcement, out);
    compare("best-of-n", curve::best_of_n, best_of_n_path);
    compare("optimum", curve::reinforcement, optimum_path);
  }
  return out;
}

/// Where the mean over seeds of the true reward is highest.
mean_of_seeds peak_of(found const& all, std::string const& setting, std::string const& method) {
  auto const path = all.along(setting, method, "true reward");
  return *std::max_element(path.begin(), path.end(),
                           [](auto const& a, auto const& b) { return a.mean < b.mean; });
}

std::vector<verdict> verdicts(found const& all) {
  using prefer::text::fixed;
  std::vector<verdict> out;
  for (char const* const method : {"best-of-n", "optimum", "ppo"}) {
    auto const setting = setting_of(pair_counts.front());
    mean_of_seeds const peak = peak_of(all, setting, method);
    auto const& lost = all.row(setting, method, "lost from here on", peak.at);
    out.push_back(
        {std::string("With 50 pairs the true reward rises and then falls (") + method + ")",
         errors_from_zero(lost) > 2.0 ? "holds" : "undecided",
         "over seeds it is highest, " + in_words(peak) + ", at d = " +
             in_words(all.row(setting, method, "distance", peak.at), 2) + ", and falls by " +
             in_words(lost) + " until the end (" + fixed(errors_from_zero(lost), 1) +
             " standard errors); the fitted curve turns at d = " +
             in_words(all.row(setting, method, "distance at the fitted turn"), 2)});
  }
  for (char const* const method : {"best-of-n", "optimum"}) {
    auto const setting = setting_of(pair_counts.front());
    bool const own_form = [&] {
      for (std::size_t const pairs : pair_counts) {
        auto const of = setting_of(pairs);
        if (all.row(of, method, "residual").mean >
            all.row(of, method, "residual of the other form").mean)
          return false;
      }
      return true;
    }();
    std::string sizes;
    for (std::size_t const pairs : pair_counts) {
      auto const of = setting_of(pairs);
      sizes += (sizes.empty() ? "" : "; ") + of + ": " + in_words(all.row(of, method, "residual")) +
               " and " + in_words(all.row(of, method, "residual of the other form"));
    }
    out.push_back(
        {std::string("The paper's form for it fits better than its other form (") + method + ")",
         own_form ? "holds" : "does not hold", "root mean squares of what is left over, " + sizes});
    auto const& few = all.row(setting, method, "alpha");
    auto const& many = all.row(setting_of(pair_counts.back()), method, "alpha");
    out.push_back(
        {std::string("More pairs make a better reward model: alpha grows (") + method + ")",
         many.mean - few.mean > 2.0 * std::hypot(few.standard_error, many.standard_error)
             ? "holds"
             : "does not hold",
         "alpha of 50 pairs " + in_words(few) + ", of 10000 " + in_words(many)});
  }
  for (char const* const method : {"best-of-n", "optimum"}) {
    auto const setting = setting_of(pair_counts.front());
    auto const& gain =
        all.row(setting, std::string(method) + " by ensemble", "above the single model at the end");
    double const errors = errors_from_zero(gain);
    out.push_back(
        {std::string("A careful ensemble loses less to over-optimisation (") + method + ")",
         errors > 2.0    ? "holds"
         : errors < -2.0 ? "the reverse"
                         : "undecided",
         "at the end of the path of 50 pairs its true reward is " + in_words(gain) +
             " above the single model's (" + fixed(errors, 1) + " standard errors)"});
  }
  return out;
}

void draw(std::string const& path, found const& all) {
  prefer::report::plot_row row;
  for (std::size_t const pairs : pair_counts) {
    auto const setting = setting_of(pairs);
    prefer::report::line_plot plot{
        .title = setting,
        .x = {.label = "d, the root of KL from the start", .min = 0.0, .max = 3.0},
        .y = {.label = "reward above the start's", .min = 0.0, .max = 3.0},
        .width = 340};
    struct line_of {
      char const* name;
      char const* method;
      char const* measure;
    };
    for (auto const& [name, method, measure] :
         {line_of{"best-of-n, true", "best-of-n", "true reward"},
          line_of{"optimum, true", "optimum", "true reward"},
          line_of{"ensemble's optimum, true", "optimum by ensemble", "true reward"},
          line_of{"optimum, learned", "optimum", "learned reward"},
          line_of{"ppo, true", "ppo", "true reward"}}) {
      auto const distance = all.along(setting, method, "distance");
      if (distance.empty()) continue;  // PPO was asked for the fewest pairs alone
      auto const reward = all.along(setting, method, measure);
      prefer::report::series line{.name = name, .dashed = measure[0] == 'l', .error_band = true};
      for (std::size_t i = 0; i != distance.size(); ++i) {
        line.points.push_back(
            {.x = distance[i].mean, .y = reward[i].mean, .y_error = reward[i].standard_error});
      }
      plot.add(std::move(line));
    }
    row.plots.push_back(std::move(plot));
  }
  row.write(path);
}

}  // namespace

study over_optimisation() {
  return {"over_optimisation", "Gao, Schulman, Hilton 2022, arXiv:2210.10760", one_seed, verdicts,
          draw};
}

std::vector<study> all_studies() {
  return {over_optimisation(),  outside_the_data(), ppo_factors(),
          online_and_offline(), misspecified(),     kl_estimators()};
}

}  // namespace rlhf_claims
