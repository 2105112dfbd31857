// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "../program/estimate.hpp"
#include "methods.hpp"

namespace recommend {

/// One setting over seeds. NDCG@10 and its difference are means over people who have something to find and over seeds; their
/// errors are those of both, in squares: other people, and other seeds, would have given other numbers. A mean over seeds
/// alone is exact for one seed as far as anybody can say: an error of 0.
struct method_summary {
  method_setting what;
  std::size_t seeds = 0;
  program::estimate ndcg_at_10 = {};
  std::optional<program::estimate> over_dpo =
      {};  ///< the difference to dpo where it ranks best, paired
  double hit_rate_at_10 = 0.0;
  double pair_accuracy = 0.0;
  program::estimate kl_start = {};
  program::estimate reward_gain = {};
  std::optional<pair_judgement> reward = {};
  program::estimate seconds = {};
  double reward_seconds = 0.0;
  double drawn_items = 0.0;
};

/// In the order in which settings first appear.
[[nodiscard]] std::vector<method_summary> summarize(std::vector<method_row> const& rows);

/// A method against dpo, each at the strength that ranks best for the other half of the people: nobody is judged at a strength
/// that was chosen by their own ratings.
struct comparison {
  std::string method;
  std::vector<method_setting> chosen = {};  ///< by people of odd number, and of even
  program::estimate ndcg_at_10 = {};
  program::estimate over_dpo = {};  ///< paired by person and seed
};

/// The start model, and every method that ran; nothing unless dpo did.
[[nodiscard]] std::vector<comparison> compare(std::vector<method_row> const& rows);

/// What it takes a method to rank as well as dpo, in seconds of a processor. Of each seed the target is the largest NDCG@10 that
/// both reach in the course of their trainings, each at its strength that ranks best; between two judgings a course is a
/// straight line.
struct equal_reward {
  method_setting what;
  method_setting dpo;
  std::size_t seeds = 0;  ///< in which the target is above the start
  double target = 0.0;    ///< mean NDCG@10
  program::estimate seconds = {};
  program::estimate dpo_seconds = {};
  /// How many times dpo's, geometric mean, and its 95 % interval by Student's t of the logarithms; absent of one seed.
  double times = 0.0;
  std::optional<double> times_from = {};
  std::optional<double> times_to = {};
};

/// Of every trained method that has courses, dpo aside; nothing unless dpo has.
[[nodiscard]] std::vector<equal_reward> at_equal_reward(std::vector<method_row> const& rows);

/// What follows from the numbers, in sentences: which method ranks best, and by how many standard errors.
[[nodiscard]] std::string findings(std::vector<method_row> const& rows);

}  // namespace recommend
