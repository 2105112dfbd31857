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

/// Who gains: NDCG@10 of a tenth of the people, by how much they did, under the start model, and what the best setting
/// adds to it.
struct tenth {
  setting what;            ///< of its loss and reference that with the best NDCG@10
  std::size_t number = 0;  ///< from 1: those who did least
  std::size_t fewest = 0;  ///< events to learn from
  std::size_t most = 0;
  std::size_t people = 0;
  double start = 0.0;  ///< mean NDCG@10
  double gain =
      0.0;  ///< mean over people of the difference to their own NDCG@10 under the start model
  double half_width = 0.0;  ///< of its 95 % interval: 1.96 standard errors of paired differences
};

/// For the best beta of DPO with each reference, ten rows: people with something to find, in the order of how much they
/// did, equally many in each. A person's NDCG@10 is the mean over seeds. Fewer rows where there are fewer than 20 people.
[[nodiscard]] std::vector<tenth> who_gains(interactions const& data,
                                           std::vector<study_row> const& rows,
                                           std::vector<summary> const& all);

/// Of who gains, one line for each tenth.
[[nodiscard]] std::string table_of(std::vector<tenth> const& gains);

/// Writes recommend.csv, recommend_who_gains.csv, recommend_beta.svg and recommend_frontier.svg into a folder; returns
/// their paths.
///
/// Errors  prefer::backend_error; files that were there before keep their content then
std::vector<std::string> write_files(std::string const& folder, std::vector<study_row> const& rows,
                                     std::vector<summary> const& all,
                                     std::vector<tenth> const& gains);

}  // namespace recommend
