// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <prefer/batch/column_rules.hpp>
#include <prefer/batch/columns.hpp>
#include <prefer/metrics/rewards.hpp>

// What programs know of the losses of the catalogue without evaluating any, which takes a minute of compiler.

/// `--set name=value`, or a piece of `--loss dpo:name=value`.
struct setting {
  std::string argument;  // as it was written, for messages
  std::string name;
  double value = 0.0;
};

/// Reads "name=value".
///
/// Errors  precondition_error that quotes `argument`
setting parse_setting(std::string const& text, std::string const& argument);

enum class example_kind { pair, unpaired, list };

/// What is known of a loss whose type was chosen by its name at run time.
struct loss_facts {
  std::string name;   // ours, whatever was written
  std::string label;  // "dpo beta=0.1 label_smoothing=0"
  example_kind kind = example_kind::pair;
  prefer::column_set needs;   // the columns it cannot do without
  prefer::column_set takes;   // those and the optional ones: a beta or a target margin per example
  std::size_t list_size = 0;  // completions in every list; 0 for any number
  bool whole_batch = false;   // a row's result depends on the other rows
  bool kl_examples = false;   // it takes a baseline from completions of other prompts
  prefer::batch_meaning meaning;  // what it takes log-probabilities and scores for
  bool remembers = false;         // its result depends on earlier batches
  double perturbation =
      0.0;  // of the policies whose log_prob it reads as perturbed_toward and perturbed_away
  bool own_samples = false;  // its examples are what the policy itself has just written
  std::optional<double> beta;
  prefer::reward_rule rewards = {};  // how log-probabilities become implicit rewards
};

/// What is known of the loss of `--loss NAME[:parameter=value,...]` with `shared` settings.
///
/// Errors  precondition_error for an unknown loss or parameter or a value out of range, and for a shared
///         setting that the loss does not take
loss_facts facts_of(std::string const& written, std::vector<setting> const& shared);

/// What `--list` says of a loss.
struct loss_description {
  std::string name;
  std::string over;  // "labels", "pairs" or "lists"
  std::vector<std::pair<std::string, double>> hyper_parameters;
  std::string reads;    // columns, and what it takes from its batch
  std::string paper;    // empty: none
  std::string summary;  // the loss of one example
  std::string trl;      // its name there; empty: none
};

/// Every loss, in the order of the catalogue.
[[nodiscard]] std::vector<loss_description> describe_losses();

/// Their names.
[[nodiscard]] std::vector<std::string> names_of_losses();

/// The table that `--list` prints.
[[nodiscard]] std::string list_of_losses();
