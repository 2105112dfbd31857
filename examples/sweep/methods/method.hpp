// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "../grid.hpp"
#include "../problem.hpp"

namespace sweep {

class arena;

/// What all methods may spend the same amount of.
enum class budget_kind {
  labels,  ///< human judgements of two completions each
  samples  ///< completions drawn from a policy and scored by the true reward
};
[[nodiscard]] std::string name_of(budget_kind budget);

/// How a reward model is fitted on pairs.
enum class reward_fit {
  descent,  ///< as dpo of beta 1 is: plain descent over all pairs, 200 steps of 4
  adamw     ///< as is usual: AdamW over all pairs, 500 steps at rate 0.05, with a centering of 0.01
};
[[nodiscard]] std::string name_of(reward_fit fit);

/// How methods are run: the same for all of them.
struct method_options {
  budget_kind budget = budget_kind::labels;
  std::uint64_t amount = 200;  ///< of what the budget counts
  loss_choice loss = {};       ///< of dpo
  reward_fit fit = reward_fit::descent;
  /// Highest rate of AdamW, which falls to 0 along a line. Its steps do not depend on the size of a loss's slope, so that
  /// one rate is fair to all.
  double rate = 0.1;
  std::size_t steps = 200;  ///< of the offline and, with a budget of labels, of the online methods
  std::size_t batch = 64;   ///< completions of an online step
  std::size_t rounds = 4;   ///< of iterative_dpo

  /// Steps of a method that writes `batch` completions at each: with a budget of samples until it is spent.
  [[nodiscard]] std::size_t online_steps() const;
  /// Why methods that compare two completions by beta times a log-ratio cannot have this beta, likewise.
  [[nodiscard]] static std::string why_no_pairs(double beta) {
    return beta > 0.0 ? ""
                      : "beta multiplies what is compared, or divides by it, so that with 0 no "
                        "pair says anything";
  }
  /// Why no such step can be had, or the budget not be spent by them, as the end of a sentence; else empty.
  [[nodiscard]] std::string why_no_online_steps(std::size_t completions) const;
  /// Why no pairs can be written and learned from at each step, as the end of a sentence; empty where they can.
  [[nodiscard]] std::string why_no_online_pairs(double beta) const {
    std::string const why = why_no_pairs(beta);
    return why.empty() ? why_no_online_steps(2) : why;
  }
};

/// What is swept of a method.
enum class swept_number {
  beta,  ///< strength of the pull to the start: coefficient of the KL divergence
  n,     ///< completions of which the best is kept
  steps  ///< of training
};
[[nodiscard]] std::string name_of(swept_number number);

/// What a run has used up to a number of steps.
struct spending {
  std::uint64_t labels = 0;   ///< human judgements
  std::uint64_t scored = 0;   ///< completions that the true reward has scored
  std::uint64_t written = 0;  ///< completions that were drawn from a policy, scored by whatever
};

/// A run at one number of steps; the last is where it ends.
struct progress_point {
  std::uint64_t step = 0;
  spending spent = {};
  judgement quality = {};
  std::optional<double> learned_reward = {};  ///< expected, above the start's, in units of R
  std::optional<double> kl_bound = {};        ///< of best-of-n: log n - (n - 1) / n, nats
  double seconds = 0.0;  ///< of computing since the run began, what was fitted included
};

/// What a method holds while it learns, in copies of models.
///
///   bytes = sum over what is trained of 4 numbers per parameter (value, gradient, two moments of AdamW)
///           + sum over what is only asked of 1 number per parameter
struct held_models {
  std::size_t trained = 0;  ///< parameters, all models together
  std::size_t asked = 0;
  std::size_t number = sizeof(double);  ///< bytes of a parameter

  [[nodiscard]] std::uint64_t bytes() const {
    return number * (4 * static_cast<std::uint64_t>(trained) + asked);
  }
};

struct method_run {
  std::vector<progress_point> points;
  held_models held = {};
  /// Most memory that it took at once besides the problem, measured, judging left out and the fitting of its reward model
  /// included.
  std::uint64_t peak_bytes = 0;
};

/// A way from preferences or rewards to a policy.
class method {
 public:
  virtual ~method() = default;
  [[nodiscard]] virtual std::string name() const = 0;
  /// What it does, as one sentence of the report.
  [[nodiscard]] virtual std::string what() const = 0;
  [[nodiscard]] virtual swept_number swept() const { return swept_number::beta; }
  /// Whether --loss is for it.
  [[nodiscard]] virtual bool reads_loss() const { return false; }
  /// Whether it asks a reward model where labels are the budget, so that --fit is for it.
  [[nodiscard]] virtual bool asks_reward(bool /*on_ratings*/) const { return true; }
  /// Whether it writes a batch of completions at each step, so that --batch is for it.
  [[nodiscard]] virtual bool writes_batches() const { return false; }
  /// Whether it is what others look for and no way to get there, so that it is not ranked among them.
  [[nodiscard]] virtual bool is_yardstick() const { return false; }
  /// Why it cannot be had so, as the end of a sentence; empty where it can.
  [[nodiscard]] virtual std::string why_not(method_options const& /*how*/,
                                            double /*number*/) const {
    return {};
  }
  /// A run at one value of what is swept. Equal arguments, equal bits, the seconds aside. Thread-safe.
  [[nodiscard]] method_run run(arena const& on, double number) const;

 protected:
  method() = default;
  method(method const&) = default;
  method& operator=(method const&) = default;

 private:
  /// Where all completions can be listed.
  [[nodiscard]] virtual method_run run_listed(arena const& on, double number) const = 0;
  /// On ratings; unless it is overridden, by recommend's method of that name, which draws items and asks the reward model.
  [[nodiscard]] virtual method_run run_on_ratings(arena const& on, double number) const;
};

/// Every method, in the order of the report. To add one: a file like best_of_n.cpp, and a line in `all_methods`.
[[nodiscard]] std::vector<std::shared_ptr<method const>> all_methods();
[[nodiscard]] std::vector<std::string> names_of_methods();

// One for each file of this folder.
[[nodiscard]] std::vector<std::shared_ptr<method const>> offline_methods();
[[nodiscard]] std::vector<std::shared_ptr<method const>> online_methods();
[[nodiscard]] std::vector<std::shared_ptr<method const>> policy_gradient_methods();
[[nodiscard]] std::vector<std::shared_ptr<method const>> exact_methods();
[[nodiscard]] std::shared_ptr<method const> iterative_method();
[[nodiscard]] std::shared_ptr<method const> nash_method();

}  // namespace sweep
