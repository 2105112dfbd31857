// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

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
  std::optional<spread> ndcg_at_10;  ///< nothing where nobody has anything to find
  std::optional<spread> hit_rate_at_10;
  spread reward_margin;
  spread kl_start;
  spread seconds;
  spread pairs_per_second;
};

/// One summary per setting, in the order in which settings first appear.
[[nodiscard]] std::vector<summary> summarize(std::vector<study_row> const& rows);

/// The table that the program prints: the start model, every DPO setting, and the best setting of each
/// other loss by NDCG@10, or by pair accuracy where nobody has anything to find.
[[nodiscard]] std::string table_of(std::vector<summary> const& all);

/// Writes recommend.csv, recommend_beta.svg and recommend_frontier.svg into a folder; returns their paths.
///
/// Errors  prefer::backend_error; files that were there before keep their content then
std::vector<std::string> write_files(std::string const& folder, std::vector<study_row> const& rows,
                                     std::vector<summary> const& all);

}  // namespace recommend
