// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include <prefer/report/csv.hpp>

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

/// Visits every number of a row by its name, what identifies the row aside: doubles, and those that may be absent.
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

/// A number of a row, or an empty field where there is none.
[[nodiscard]] inline prefer::report::csv_field field(std::optional<double> const& number) {
  return number ? prefer::report::csv_field(*number) : prefer::report::csv_field("");
}

/// The numbers of a row in full.
[[nodiscard]] program::json json_of(study_row const& row);
/// A row to keep, with NDCG@10 of each person too, and back to the same bits.
[[nodiscard]] program::json kept_json_of(study_row const& row);
[[nodiscard]] study_row row_of(program::json const& kept);

/// The numbers of the tables in full, of every setting and every tenth.
[[nodiscard]] program::json json_of(std::vector<summary> const& all);
[[nodiscard]] program::json json_of(std::vector<tenth> const& gains);

/// One line per row. Errors  prefer::backend_error; a file that was there before keeps its content then
void write_csv(std::string const& path, std::vector<study_row> const& rows);

/// One line per tenth. Errors as those of write_csv.
void write_csv(std::string const& path, std::vector<tenth> const& gains);

/// Ranking quality and accuracy of DPO against beta; false where there is nothing to draw. Errors as those of write_csv.
bool write_beta_picture(std::string const& path, std::vector<summary> const& all);

/// Accuracy of DPO against the divergence from the start; false where there is nothing to draw. Errors as those of
/// write_csv.
bool write_frontier_picture(std::string const& path, std::vector<summary> const& all);

}  // namespace recommend
