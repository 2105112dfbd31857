// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "../program/json.hpp"
#include "study.hpp"

namespace recommend {

/// Mean and standard deviation over seeds of one setting's rows.
struct summary {
  setting what;
  std::size_t seeds = 0;
  struct spread {
    double mean = 0.0;
    double deviation = 0.0;  ///< standard deviation over seeds; 0 for one seed
  };
  spread pair_accuracy;
  spread ndcg_at_10;
  spread hit_rate_at_10;
  spread reward_margin;
  spread kl_start;
  spread seconds;
  spread pairs_per_second;
};

/// One summary per setting, in the order in which settings first appear.
[[nodiscard]] std::vector<summary> summarize(std::vector<study_row> const& rows);

/// The table that the program prints: the start model, every DPO setting, and the best setting of each
/// other loss by NDCG@10.
[[nodiscard]] std::string table_of(std::vector<summary> const& all);

/// Visits every number of a row by its name in the CSV file, what identifies the row aside.
template <class Row>
void for_each_number(Row& row, auto const& visit) {
  visit("pair_accuracy", row.quality.pair_accuracy);
  visit("ndcg_at_10", row.quality.ndcg_at_10);
  visit("hit_rate_at_10", row.quality.hit_rate_at_10);
  visit("reward_margin", row.reward_margin);
  visit("kl_start", row.quality.kl_start);
  visit("seconds", row.seconds);
  visit("pairs_per_second", row.pairs_per_second);
}

/// A row as JSON, and back to the same bits.
[[nodiscard]] program::json json_of(study_row const& row);
[[nodiscard]] study_row row_of(program::json const& row);

/// The same numbers as the table's, in full, for every setting.
[[nodiscard]] program::json json_of(std::vector<summary> const& all);

/// One line per row. Errors  prefer::backend_error; a file that was there before keeps its content then
void write_csv(std::string const& path, std::vector<study_row> const& rows);

/// Ranking quality and accuracy against beta. Errors as those of write_csv.
void write_beta_picture(std::string const& path, std::vector<summary> const& all);

/// Accuracy against the divergence from the start. Errors as those of write_csv.
void write_frontier_picture(std::string const& path, std::vector<summary> const& all);

}  // namespace recommend
