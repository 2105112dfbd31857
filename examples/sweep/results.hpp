// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include "grid.hpp"
#include "row_file.hpp"
#include "run.hpp"

namespace sweep {

/// The rows of a sweep over losses on disk, in the order of the grid. Rows of other grids with the same task stay, behind
/// those of this one.
///
/// Errors  as for row_file
class results {
 public:
  /// `path` is the CSV file; `settings` goes into every row, and rows with another text are refused.
  results(std::string path, std::string settings, grid const& all);

  [[nodiscard]] bool has(setting const& what, std::uint64_t seed) const;
  /// Keeps the rows of a run. May be called from several threads at once.
  void add(setting const& what, std::uint64_t seed, std::vector<measurement> const& rows);
  /// Writes the CSV file and removes the journal.
  void finish();

  /// What was measured for each seed that has it, in the order of the seeds.
  struct seed_result {
    std::uint64_t seed = 0;
    judgement quality;
  };
  [[nodiscard]] std::vector<seed_result> at(setting const& what, std::uint64_t steps) const;

 private:
  [[nodiscard]] std::string key(setting const& what, std::uint64_t seed, std::uint64_t steps) const;

  grid all_;
  row_file rows_;
};

}  // namespace sweep
