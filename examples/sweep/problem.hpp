// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <prefer/batch/columns.hpp>
#include <prefer/loss/catalogue.hpp>

namespace sweep {

/// What is wrong with the labels that a run learns from.
struct label_noise {
  double flip = 0.0;  ///< probability that a label is turned round
  double bias = 0.0;  ///< probability that one annotator with a taste of their own gives it
};

/// How good a policy is, exactly.
struct judgement {
  double reward = 0.0;                     ///< expected true reward
  double kl_start = 0.0;                   ///< KL(policy || start policy), nats
  double kl_reference = 0.0;               ///< KL(policy || reference), nats
  std::optional<double> best_reward = {};  ///< the most that any policy gets with this kl_start
  /// Where people judge: the reward of each tenth of them, or of each where there are fewer than ten; empty for one.
  std::vector<double> reward_of_tenths = {};
  /// Share of held-out preferences that log(policy / start) orders as they are, where there are any.
  std::optional<double> pair_accuracy = {};
};

/// A point of the frontier that no policy is above.
struct optimum {
  double reward = 0.0;
  double kl_start = 0.0;  ///< nats
};

/// One number for each completion of the problem's pairs.
struct sides {
  std::vector<double> chosen;
  std::vector<double> rejected;
};

/// What some losses read of a policy over tokens, nats. What was not asked for is empty.
struct token_numbers {
  sides divergence;        ///< sum over tokens of KL(reference || policy)
  sides alignment;         ///< mean over tokens of log p(token) - log sum_v p(v)^2
  sides perturbed_toward;  ///< log_prob of the policy moved towards the reference
  sides perturbed_away;    ///< and away from it
};

/// d loss / d log_prob of each completion, and d loss / d divergence where the loss reads it, else empty.
struct pair_gradient {
  std::span<double const> chosen;
  std::span<double const> rejected;
  std::span<double const> chosen_divergence = {};
  std::span<double const> rejected_divergence = {};
};

/// The policy of one run and what it is held near. Not thread-safe; a problem makes as many as are asked for.
class learner {
 public:
  virtual ~learner() = default;
  /// log_prob of chosen and rejected completions of the problem's pairs, nats.
  virtual void log_prob(std::span<double> chosen, std::span<double> rejected) = 0;
  /// The same under the reference; 0 without one.
  virtual void reference_log_prob(std::span<double> chosen, std::span<double> rejected) = 0;
  /// Whether they change with a step.
  [[nodiscard]] virtual bool reference_moves() const = 0;
  /// log_prob of each completion's prompt with a completion of the next pair, chosen and rejected side by side
  /// [2 pairs]: what kto takes its baseline from.
  virtual void kl_log_prob(std::span<double> policy, std::span<double> reference) = 0;
  /// Fills what belongs to the columns that are wanted; the task has them. The perturbed policies are moved by
  /// `perturbation` of the way between policy and reference.
  virtual void read_tokens(prefer::column_set wanted, double perturbation, token_numbers& out) = 0;
  /// One step down. `step` suits a policy with one logit per completion; see task::sets_own_steps.
  virtual void descend(pair_gradient const& slope, double step) = 0;
  [[nodiscard]] virtual judgement judge() = 0;
  /// log_prob of every completion that there is, where they can be listed; else empty.
  [[nodiscard]] virtual std::vector<double> every_log_prob() { return {}; }

 protected:
  learner() = default;
  learner(learner const&) = default;
  learner& operator=(learner const&) = default;
};

/// What one seed draws: a start policy, a true reward, and labelled pairs. Does not outlive its task.
class problem {
 public:
  virtual ~problem() = default;
  /// Pairs that teach something: the columns' length.
  [[nodiscard]] virtual std::size_t pairs() const = 0;
  /// Pairs that the mean loss divides by; more than `pairs` where two equal completions were drawn.
  [[nodiscard]] virtual std::size_t drawn() const = 0;
  /// Scores of the pairs' completions, of the kind that a loss takes.
  ///
  ///   reward           the true reward, whatever the label says
  ///   ordered_reward   what the annotator saw: chosen above rejected, by as much as they saw
  ///   win_probability  with which an annotator without noise prefers it to the other completion
  [[nodiscard]] virtual sides scores(prefer::score_kind kind) const = 0;
  /// A run from the start policy; `reference` is one of the task's, or "none".
  [[nodiscard]] virtual std::unique_ptr<learner> start(std::string const& reference) const = 0;
  /// start * exp(reward / beta) / Z, where it is known.
  [[nodiscard]] virtual std::optional<optimum> best(double beta) const = 0;

 protected:
  problem() = default;
  problem(problem const&) = default;
  problem& operator=(problem const&) = default;
};

/// A family of problems, one per seed. To add one: a file like bandit.cpp, and its name in `make_task`.
class task {
 public:
  virtual ~task() = default;
  /// Everything that its rows depend on besides the grid, on one line and without a comma.
  [[nodiscard]] virtual std::string settings() const = 0;
  [[nodiscard]] virtual std::vector<std::string> references() const = 0;
  /// "expected reward", for axes and tables.
  [[nodiscard]] virtual std::string reward_name() const = 0;
  /// Tokens of a completion.
  [[nodiscard]] virtual std::size_t tokens() const { return 1; }
  /// Columns that a policy over tokens gives: divergence, alignment, perturbed log_prob.
  [[nodiscard]] virtual prefer::column_set token_columns() const { return {}; }
  /// Whether its learners' steps do not depend on the size of a loss's slope.
  [[nodiscard]] virtual bool sets_own_steps() const { return false; }
  /// Why problem::best is unknown, as a sentence; empty where it is known.
  [[nodiscard]] virtual std::string why_no_best() const { return {}; }
  /// What differs from seed to seed, for the report.
  [[nodiscard]] virtual std::string drawn_by_seed() const { return "problem and labels"; }
  /// May be called from several threads at once.
  [[nodiscard]] virtual std::shared_ptr<problem const> make(std::uint64_t seed,
                                                            label_noise const& noise) const = 0;

 protected:
  task() = default;
  task(task const&) = default;
  task& operator=(task const&) = default;
};

struct task_options {
  std::string name = "bandit";
  std::size_t actions = 64;  ///< of a bandit
  std::size_t pairs = 0;     ///< labelled; 0: as many as suit the task
  // Of ratings.
  std::string ratings;       ///< file
  std::size_t factors = 16;  ///< numbers per person and item
  std::uint64_t start_epochs =
      12;               ///< of maximum likelihood; three times as many for reference near
  double rate = 0.001;  ///< of AdamW
};

/// Errors  precondition_error for a name without a task; backend_error for a file that cannot be read
[[nodiscard]] std::unique_ptr<task> make_task(task_options const& options);

}  // namespace sweep
