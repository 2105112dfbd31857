// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <prefer/parallel/executor.hpp>

#include "../program/cpu_clock.hpp"
#include "drawing_methods.hpp"
#include "interactions.hpp"
#include "ranking.hpp"
#include "reward.hpp"
#include "study.hpp"

namespace recommend {

/// Which methods to compare, and what they need besides the options of a study.
struct method_options {
  std::vector<std::string> methods;
  std::vector<std::size_t> best_of = {2, 4, 16, 64};  ///< items that best_of_n draws
  std::size_t completions = 4;  ///< items that ppo, rloo and reinforce draw for a person at a time
  std::size_t rounds = 3;       ///< of iterative_dpo
  double centering = 0.01;      ///< of the reward model, see prefer::bradley_terry
  std::size_t judgings = 0;     ///< in the course of a training
  /// In which xpo and nash_md keep what they have worked out of the start's rows; changes no number.
  std::size_t kept_bytes = std::size_t{64} << 20;
};

/// What --method may be, in the order of the table.
[[nodiscard]] std::vector<std::string> const& known_methods();

/// Whether a method asks the fitted reward model.
[[nodiscard]] bool asks_reward(std::string const& method);
/// Whether it draws items from the policy while it trains.
[[nodiscard]] bool draws(std::string const& method);

/// A method at one strength: beta, which is the coefficient of the KL divergence to the start for all of them, or n of
/// best_of_n; sft_on_chosen has none.
struct method_setting {
  std::string method;
  std::string loss;  ///< of dpo
  std::optional<double> strength = {};

  friend bool operator==(method_setting const&, method_setting const&) = default;
};

/// The start model and the reward model; where a method asks the reward model, the exact optimum of what it looks for at each
/// beta; then the methods.
[[nodiscard]] std::vector<method_setting> settings_of(method_options const& how,
                                                      study_options const& options);

/// How good a policy was in the course of its training.
struct course_point {
  std::uint64_t step = 0;
  double seconds = 0.0;  ///< of a processor, until then, with what the reward model took
  double ndcg_at_10 = 0.0;
  double kl_start = 0.0;
};

/// One policy: how it came about, how good it is, what it cost.
struct method_row {
  method_setting what;
  std::uint64_t seed = 0;
  judgement quality = {};
  double reward_gain = 0.0;  ///< of the fitted reward, what is expected of it minus of the start
  /// Of the implicit reward beta * (log_prob - start's) on held-out preferences; of the reward model, its own.
  std::optional<pair_judgement> reward = {};
  double seconds = 0.0;           ///< of a processor, for all training, with `reward_seconds`
  double reward_seconds = 0.0;    ///< for the reward model, where the method asks it
  std::uint64_t drawn_items = 0;  ///< from policies, while training
  std::vector<course_point> course = {};
};

/// Trains and judges the methods, one setting at a time.
class method_study {
 public:
  method_study(interactions const& data, study_options const& options, method_options const& how,
               prefer::executor threads, training_guard guard = {});
  method_study(method_study const&) = delete;
  method_study& operator=(method_study const&) = delete;

  /// Trains the start model of a seed, and the reward model if it is asked; the settings that follow begin with them.
  void start(std::uint64_t seed);
  method_row run(method_setting const& what);

  /// What the guard calls the trainings of a setting, or of the start.
  [[nodiscard]] std::vector<std::string> units(method_setting const& what) const;
  [[nodiscard]] static std::vector<std::string> start_units(std::uint64_t seed);

 private:
  void train(method_row& row, model& policy);
  void train_in_rounds(method_row& row, model& policy);
  [[nodiscard]] drawing_task drawing(method_row const& row, model& policy, std::string const& unit);
  [[nodiscard]] item_log_probs policy_without_training(method_setting const& what);
  void at_step(std::uint64_t step, std::uint64_t steps);
  void add_to_course(std::uint64_t step);

  interactions const& data_;
  study_options options_;
  method_options how_;
  prefer::executor threads_;
  training_guard outer_;
  training_guard keeping_;  // of the start and the reward model
  training_guard guard_;    // of the methods
  study study_;
  std::optional<reward_model> reward_;
  std::uint64_t seed_ = 0;
  double reward_seconds_ = 0.0;
  double start_reward_ = 0.0;

  // Of the training at work.
  model* policy_ = nullptr;
  method_row* row_ = nullptr;
  std::uint64_t steps_before_ = 0;
  program::cpu_clock clock_;
};

}  // namespace recommend
