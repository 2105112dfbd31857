// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <prefer/batch/columns.hpp>

#include "comparison.hpp"
#include "golden.hpp"
#include "trl_losses.hpp"

// What rows with a chosen and a rejected completion have in common.

namespace golden {

/// One side of a batch of pairs.
struct side {
  numbers policy, reference, alignment;
  std::vector<double> length;
  std::vector<std::vector<double>> token_weight;  // in the sum over tokens; empty for 1
};

struct pairs {
  side chosen, rejected;

  [[nodiscard]] std::size_t size() const { return chosen.policy.size(); }
  [[nodiscard]] prefer::pair_columns columns() const {
    prefer::pair_columns out{
        .policy = {chosen.policy.column(), rejected.policy.column()},
        .reference = {chosen.reference.column(), rejected.reference.column()},
        .length = {prefer::column(chosen.length), prefer::column(rejected.length)}};
    if (!chosen.alignment.empty()) {
      out.alignment = {chosen.alignment.column(), rejected.alignment.column()};
    }
    return out;
  }
};

[[nodiscard]] pairs pairs_of(golden_case const& row, precision stored);

/// How exact the numbers of each pair, and their mean, can be.
struct sized {
  std::vector<quantity> each;
  quantity mean;
};

[[nodiscard]] sized sizes_of(trl_loss const& trl, pair_meaning const& loss, pairs const& data);

/// TRL logs beta * log_ratio for every loss with a reference in its inputs, even where the loss does without.
void compare_rewards(comparison& compare, golden_case const& row, pair_meaning const& loss,
                     pairs const& data, double beta, precision stored);

}  // namespace golden
