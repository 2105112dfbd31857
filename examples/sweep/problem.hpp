// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

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
};

/// A point of the frontier that no policy is above.
struct optimum {
  double reward = 0.0;
  double kl_start = 0.0;  ///< nats
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
  /// One step down, given d loss / d log_prob. `step` suits a policy with one logit per completion.
  virtual void descend(std::span<double const> chosen, std::span<double const> rejected,
                       double step) = 0;
  [[nodiscard]] virtual judgement judge() = 0;

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
  std::size_t pairs = 200;   ///< labelled, of every task
};

/// Errors  precondition_error for a name without a task; backend_error for a file that cannot be read
[[nodiscard]] std::unique_ptr<task> make_task(task_options const& options);

}  // namespace sweep
