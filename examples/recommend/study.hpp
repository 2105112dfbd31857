// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <prefer/loss/loss.hpp>
#include <prefer/parallel/executor.hpp>
#include <prefer/train/trainer.hpp>

#include "../program/kept.hpp"
#include "interactions.hpp"
#include "popularity.hpp"
#include "ranking.hpp"

namespace recommend {

/// A loss of one's own: the negative log-likelihood of what people did, or chose.
inline constexpr auto likelihood =
    prefer::unpaired_loss([](auto const& event) { return -event.log_prob; });

/// What to run. The defaults are those of the table in the README.
struct study_options {
  std::vector<double> betas = {0.01, 0.05, 0.1, 0.5, 1.0, 2.0, 5.0};
  std::uint64_t seeds = 3;
  std::size_t factors = 64;
  std::size_t batch_size = 1024;
  std::uint64_t start_epochs = 12;  ///< of maximum likelihood on the training interactions
  double start_rate = 0.01;
  double start_weight_decay = 0.1;
  std::uint64_t tune_epochs = 3;      ///< of preference tuning
  std::size_t pairs_per_person = 40;  ///< in each of them
  double tune_rate = 0.005;
  std::size_t negatives = 3;                 ///< of softmax-DPO, beside the preferred item
  std::vector<std::string> losses = {};      ///< only these; empty: all
  std::vector<std::string> references = {};  ///< of DPO; empty: all, group where there are groups
  std::size_t samples =
      0;  ///< items that stand for all in a normaliser (prefer::sampled_softmax); 0: exact

  /// Whether dpo, whose betas are `betas`, is among the losses.
  [[nodiscard]] bool has_dpo() const {
    return losses.empty() || std::find(losses.begin(), losses.end(), "dpo") != losses.end();
  }
};

/// One trained model: what it was trained with, how good it is, what it cost.
struct study_row {
  std::string loss;
  double beta = 0.0;
  std::string reference;
  std::uint64_t seed = 0;
  judgement quality = {};
  double reward_margin = 0.0;  ///< mean implicit reward margin on held-out preferences, nats
  double seconds = 0.0;        ///< of training
  double pairs_per_second = 0.0;
};

/// A loss at one beta with one reference, which the study runs for each seed.
struct setting {
  std::string loss;
  double beta = 0.0;
  std::string reference;  ///< "trained", "popularity", "group", "person" or "none"
};

/// DPO for every beta and reference, then the other losses over ranges of their own.
[[nodiscard]] std::vector<setting> settings_of(study_options const& options, bool groups = false);

/// Who runs a training: its trainer as it is, or one that keeps it where the program is stopped.
struct training_guard {
  program::kept_trainings* kept = nullptr;
  std::function<void(std::uint64_t step, std::uint64_t steps)> on_step = {};

  /// `unit` names the training in a file's name. Errors  program::stop
  template <class Trainer>
  void run(Trainer& training, std::string const& unit) const {
    auto const said = [&](prefer::step_report const& report) {
      if (on_step) on_step(report.step, report.steps);
    };
    if (kept != nullptr) {
      kept->run(training, unit, said);
    } else {
      training.run(said);
    }
  }
};

/// What a training took.
struct training_cost {
  double seconds = 0.0;
  std::size_t examples = 0;
};

/// Makes a model the start of a seed: small random numbers, then maximum likelihood on the training interactions.
/// More epochs begin with what fewer do.
training_cost train_start(model& policy, interactions const& data, study_options const& options,
                          std::uint64_t seed, prefer::executor threads,
                          training_guard const& guard = {});

/// What a tuning took, and what its reference says of held-out preferences: chosen minus rejected, nats.
struct tuning {
  double seconds = 0.0;
  double reference_margin = 0.0;
};

/// Runs the study one setting at a time.
class study {
 public:
  study(interactions const& data, study_options const& options, prefer::executor threads,
        training_guard guard = {});

  /// Trains the start model of a seed; the settings that follow begin with it.
  study_row start(std::uint64_t seed);
  /// Tunes a copy of the start model.
  study_row tune(setting const& what);
  /// Tunes a policy that is such a copy.
  tuning tune(model& policy, setting const& what);
  /// From now on another guard runs the trainings.
  void use(training_guard guard) { guard_ = std::move(guard); }

  [[nodiscard]] model& start_model() { return start_; }
  /// The preferences of this seed that all losses of pairs learn from, and a reward model too.
  [[nodiscard]] prefer::choice_data const& pairs() { return drawn(example_form::pairs); }
  /// What the guard calls the trainings of both.
  [[nodiscard]] static std::string start_unit(std::uint64_t seed);
  [[nodiscard]] std::string unit(setting const& what) const;

 private:
  /// What the drawn preferences become for a loss.
  enum class example_form { pairs, lists, labelled };
  /// The preferences of this seed, drawn when a form is asked for that is not at hand.
  prefer::choice_data const& drawn(example_form form);

  interactions const& data_;
  study_options options_;
  prefer::executor threads_;
  training_guard guard_;
  std::uint64_t seed_ = 0;
  model start_;
  popularity popular_;
  personal_references personal_;
  prefer::choice_data drawn_;
  example_form form_ = example_form::pairs;
};

}  // namespace recommend
