// SPDX-License-Identifier: MIT
//
// Policies that are known without training.
#include <algorithm>
#include <cmath>

#include <prefer/metrics/best_of_n.hpp>
#include <prefer/text/number.hpp>

#include "arena.hpp"

namespace sweep {

namespace {

constexpr double least_beta_of_optimum = 1e-30;

/// A policy that follows from start and reward model, person by person, when it is asked; its time is the reward model's.
method_run without_training(ratings_arena const& on, recommend::item_log_probs const& policy) {
  method_run out;
  out.points.push_back(on.judge(policy, 0, on.spent(0)));
  out.points.back().seconds = on.reward_seconds();
  out.peak_bytes = on.reward_peak_bytes();
  out.held = {.trained = on.parameters(), .asked = on.parameters(), .number = sizeof(float)};
  return out;
}

class keep_the_best final : public method {
 public:
  [[nodiscard]] std::string name() const override { return "best_of_n"; }
  [[nodiscard]] std::string what() const override {
    return "n completions of the start, of which the one with the highest reward is kept";
  }
  [[nodiscard]] swept_number swept() const override { return swept_number::n; }
  [[nodiscard]] std::string why_not(method_options const& how, double n) const override {
    if (how.budget == budget_kind::labels || n <= static_cast<double>(how.amount)) return {};
    return "one answer takes " + prefer::text::shortest(n) + " scored completions, and there are " +
           std::to_string(how.amount) + " to spend";
  }
  /// It learns nothing, so that what it may spend on the true reward is the answers that it can give, n for each.

 private:
  [[nodiscard]] method_run run_listed(arena const& on, double number) const override {
    run_meter meter;
    auto const n = static_cast<std::uint64_t>(number);
    auto const best = prefer::exact_best_of_n(on.start(), on.reward(), n);
    numbers log_prob(best.probability.size());
    for (std::size_t y = 0; y < log_prob.size(); ++y) log_prob[y] = std::log(best.probability[y]);
    std::uint64_t const amount = on.options().amount;
    spending const spent{.labels = on.by_labels() ? amount : 0,
                         .scored = on.by_labels() ? 0 : amount / n * n,
                         .written = on.by_labels() ? 2 * amount : amount / n * n};
    method_run out;
    meter.hold();
    out.points.push_back(on.judge(log_prob, 0, spent));
    out.points.back().kl_bound = best.kl_bound;
    out.points.back().seconds = on.learned().seconds + meter.seconds();
    out.peak_bytes = peak_with_reward_model(on, meter);
    out.held = {.trained = on.learned().parameters, .asked = on.exact().start_parameters()};
    return out;
  }
  [[nodiscard]] method_run run_on_ratings(arena const& on, double number) const override {
    auto const n = static_cast<std::size_t>(number);
    auto out = without_training(on.on_ratings(), recommend::best_of_n(on.on_ratings().known(), n));
    out.points.back().kl_bound = std::log(number) - (number - 1.0) / number;
    return out;
  }
};

class rlhf_optimum final : public method {
 public:
  [[nodiscard]] std::string name() const override { return "rlhf_optimum"; }
  [[nodiscard]] std::string what() const override {
    return "start * exp(reward / beta) / Z itself, which RLHF looks for; nothing is trained but "
           "the "
           "reward";
  }
  [[nodiscard]] bool is_yardstick() const override { return true; }
  [[nodiscard]] std::string why_not(method_options const& how, double beta) const override {
    if (beta == 0.0) {
      return "it divides by beta; with 0 the completion of the highest reward is left alone, where "
             "best_of_n goes with n";
    }
    if (beta < least_beta_of_optimum) return "a reward that is divided by it overflows";
    return how.budget == budget_kind::labels
               ? ""
               : "with the true reward it is the frontier itself, and spends nothing";
  }

 private:
  [[nodiscard]] method_run run_listed(arena const& on, double beta) const override {
    run_meter meter;
    numbers const log_prob = tilted(on.start(), on.reward(), 1.0 / beta);
    std::uint64_t const labels = on.options().amount;
    method_run out;
    meter.hold();
    out.points.push_back(on.judge(log_prob, 0, {.labels = labels, .written = 2 * labels}));
    out.points.back().seconds = on.learned().seconds + meter.seconds();
    out.peak_bytes = peak_with_reward_model(on, meter);
    out.held = {.trained = on.learned().parameters, .asked = on.exact().start_parameters()};
    return out;
  }
  [[nodiscard]] method_run run_on_ratings(arena const& on, double beta) const override {
    return without_training(on.on_ratings(), recommend::optimum_of(on.on_ratings().known(), beta));
  }
};

}  // namespace

std::vector<std::shared_ptr<method const>> exact_methods() {
  return {std::make_shared<keep_the_best>(), std::make_shared<rlhf_optimum>()};
}

}  // namespace sweep
