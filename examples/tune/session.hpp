// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <prefer/batch/token_sequences.hpp>
#include <prefer/train/learning_rate.hpp>

#include "../language/judging.hpp"
#include "../language/model.hpp"
#include "../language/rows.hpp"
#include "../program/progress.hpp"
#include "answers.hpp"
#include "metrics.hpp"
#include "online.hpp"
#include "options.hpp"
#include "training.hpp"

namespace tune {

/// What is found out when training is over.
struct final_report {
  std::vector<step_row> steps;
  std::optional<language::preference_judgement> before;  ///< on held-out rows
  std::optional<language::preference_judgement> after;
  std::optional<language::calibration_judgement> calibration_before;  ///< of a reward model
  std::optional<language::calibration_judgement> calibration_after;
  std::optional<answer_report> answers;
  bool start_checked = false;  ///< at the first step log-ratios were 0
};

/// Everything that a training needs, in memory.
class session {
 public:
  /// Opens the model, reads the rows or the prompts, says what was found, and makes policy and reference.
  ///
  /// Errors  what is wrong with them; program::stop where somebody asked for the end
  session(options const& given, chosen_loss loss);
  session(session const&) = delete;
  session& operator=(session const&) = delete;

  /// Stands for the rows, the model and how rows became tokens.
  [[nodiscard]] std::uint64_t identity();
  [[nodiscard]] language::model& model() { return model_; }
  [[nodiscard]] language::held_policy& policy() { return *policy_; }
  [[nodiscard]] chosen_loss const& loss() const { return loss_; }
  /// Empty with --online.
  [[nodiscard]] language::encoded_rows const& rows() const { return rows_; }
  [[nodiscard]] std::optional<online_prompts> const& prompts() const { return prompts_; }
  [[nodiscard]] std::optional<language::encoded_rows> const& held_out() const { return held_out_; }
  [[nodiscard]] std::string const& reference_name() const { return reference_name_; }
  [[nodiscard]] prefer::train_options train_options() const;

  /// Trains from where `checkpoint` is, if it is there, and writes one every few steps. Rows of steps that are done go to
  /// `on_row`. A last checkpoint is left behind.
  ///
  /// Errors  program::stop once somebody asked for the end, after the checkpoint was written
  void train(std::string const& checkpoint, std::function<void(step_row const&)> const& on_row);

  /// Judges held-out rows and lets the policy answer held-out prompts.
  void finish(final_report& report);

 private:
  void read(options const& given);
  void choose_reference();
  void train_on(prefer::any_source& source, online_judge const* judge,
                std::string const& checkpoint, std::function<void(step_row const&)> const& on_row);
  [[nodiscard]] std::function<void(std::size_t)> shown(program::progress& bar,
                                                       std::string const& doing) const;
  [[nodiscard]] language::preference_judgement judged(std::vector<float> const& policy,
                                                      std::vector<float> const& reference) const;
  void print_answers(std::uint64_t step);
  /// Rows, or prompts, of an epoch and of a step.
  [[nodiscard]] std::size_t rows_per_epoch() const;
  [[nodiscard]] std::size_t rows_in(std::uint64_t step) const;
  [[nodiscard]] double tokens_per_row() const;
  /// The different prompts that leave room for an answer, the first `most`: of held-out rows where there are any.
  [[nodiscard]] std::vector<std::uint32_t> prompts_to_show(std::size_t most) const;

  options const& given_;
  chosen_loss loss_;
  language::model model_;
  prefer::token_sequences texts_;
  language::encoded_rows rows_;
  std::optional<online_prompts> prompts_;
  std::optional<make_pairs::judge> judge_;  // of what is written to them
  std::optional<language::encoded_rows> held_out_;
  std::uint64_t rows_identity_ = 0;
  std::unique_ptr<language::held_policy> policy_;
  language::reference_choice choice_;
  std::string reference_name_;
  std::unique_ptr<language::held_reference> reference_;
  std::vector<float> start_;  // log-probabilities of held-out rows at the start
  bool is_start_ = false;     // the reference is the policy as it begins
};

}  // namespace tune
