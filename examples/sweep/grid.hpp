// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "problem.hpp"

namespace sweep {

/// A loss as it was asked for.
struct loss_choice {
  std::string written;          ///< "dpo:label_smoothing=0.1"
  std::string text;             ///< "dpo label_smoothing=0.1": by our name, without a comma
  bool has_beta = true;         ///< without one, it is run once instead of once per beta
  bool reads_reference = true;  ///< without one, it is run once instead of once per reference
  prefer::score_kind score = prefer::score_kind::none;
};

/// What is run once for each seed.
struct setting {
  std::size_t loss = 0;        ///< index of the grid's losses
  std::optional<double> beta;  ///< absent for a loss that has none
  std::string reference;       ///< "none" for a loss that reads none
  label_noise noise = {};

  friend bool operator==(setting const& a, setting const& b) {
    return a.loss == b.loss && a.beta == b.beta && a.reference == b.reference &&
           a.noise.flip == b.noise.flip && a.noise.bias == b.noise.bias;
  }
};

/// Everything that one call of the program runs.
struct grid {
  std::vector<loss_choice> losses;
  std::vector<double> betas;
  std::vector<std::string> references;
  std::vector<double> flips = {0.0};
  double bias = 0.0;
  std::uint64_t seeds = 20;
  std::vector<std::uint64_t> steps = {200};  ///< ascending; one run gives a row at each

  [[nodiscard]] std::vector<setting> settings() const;
};

/// Reads "0.1,0.5,1" and ranges LOW:HIGH:logN and LOW:HIGH:linN, which commas may join. The inner numbers of
/// a range are rounded to three significant digits, so that they can be read and written. Ascending, no number
/// twice. A beta of a loss is above 0; a coefficient of the KL divergence may be 0, too.
///
/// Errors  precondition_error that quotes `argument` and the piece that is wrong
enum class least_beta { above_zero, zero };
[[nodiscard]] std::vector<double> read_betas(std::string const& argument, std::string const& text,
                                             least_beta least = least_beta::above_zero);

/// Reads "0,0.1,0.3": probabilities of at most 1/2, ascending.
[[nodiscard]] std::vector<double> read_flips(std::string const& argument, std::string const& text);

/// Reads "200,2000": numbers of steps, or of what else `of_what` says, ascending.
[[nodiscard]] std::vector<std::uint64_t> read_whole(std::string const& argument,
                                                    std::string const& text,
                                                    std::string const& of_what);

/// Reads "start,near": names that `known` has. `unknown` is the sentence about another: "this task has no reference".
[[nodiscard]] std::vector<std::string> read_names(std::string const& argument,
                                                  std::string const& text,
                                                  std::vector<std::string> const& known,
                                                  std::string const& unknown);

/// Reads "dpo,ipo_sum,simpo:gamma=1,label_smoothing=0.1": after a colon, NAME=NUMBER belongs to the same loss.
///
/// Errors  precondition_error for an unknown loss or parameter, for a beta, which the grid sets, and for a loss
///         that reads a column that the task does not have, whose columns over tokens these are
[[nodiscard]] std::vector<loss_choice> read_losses(std::string const& argument,
                                                   std::string const& text,
                                                   prefer::column_set token_columns = {});

}  // namespace sweep
