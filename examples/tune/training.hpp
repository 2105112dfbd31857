// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include <losses/loss_facts.hpp>
#include <prefer/policy/any_policy.hpp>
#include <prefer/reference/any_reference.hpp>
#include <prefer/train/any_source.hpp>
#include <prefer/train/options.hpp>
#include <prefer/train/step_report.hpp>

namespace tune {

using policy_handle = prefer::any_policy<float>;
using reference_handle = prefer::any_reference<float>;

/// A trainer whose loss was chosen by its name.
class training {
 public:
  training() = default;
  training(training const&) = delete;
  training& operator=(training const&) = delete;
  virtual ~training() = default;

  /// As of prefer::trainer. Either call may interrupt by false.
  virtual prefer::run_outcome run(
      std::function<bool(prefer::step_report const&)> const& on_step,
      std::function<bool(prefer::part_report const&)> const& on_part) = 0;
  virtual void save(std::string const& path) const = 0;
  virtual void resume(std::string const& path) = 0;
  [[nodiscard]] virtual bool done() const = 0;
  [[nodiscard]] virtual std::uint64_t steps_done() const = 0;
  [[nodiscard]] virtual std::uint64_t steps_planned() const = 0;
};

/// What a training is made of; all of it outlives the training.
struct training_parts {
  policy_handle& policy;
  reference_handle& reference;
  prefer::any_source& source;
  prefer::train_options options;
};

/// A loss with its hyper-parameters, as a user says it.
struct chosen_loss {
  loss_facts facts;
  std::vector<setting> settings;  ///< beta among them
  bool demonstrates = false;      ///< maximum likelihood of one completion per row: SFT
};

/// Looks a loss up, sets its hyper-parameters and says what it takes.
///
/// Errors  precondition_error for an unknown loss or hyper-parameter or a value out of range, and for a loss whose
///         examples the policy itself writes
[[nodiscard]] chosen_loss choose_loss(std::string const& name, std::vector<setting> settings);

/// Errors  precondition_error for data that do not fit the loss
[[nodiscard]] std::unique_ptr<training> make_training(chosen_loss const& loss,
                                                      training_parts const& parts);

}  // namespace tune
