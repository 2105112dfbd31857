// SPDX-License-Identifier: MIT
#pragma once

#include <cstdio>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "grid.hpp"
#include "run.hpp"

namespace sweep {

/// The rows of a sweep on disk, which outlive the program.
///
/// While runs are made, their rows are appended to a journal beside the CSV file, all rows of a run in one
/// piece; `finish` writes the CSV file anew, beside itself and renamed, in the order of the grid. Whenever the
/// program ends, what is lost is the runs in flight: half a line at the journal's end is dropped when the next
/// call reads it. Rows of other grids with the same task stay, behind those of this one.
///
/// Errors  backend_error with path and line for a file of another task, version or shape, one that cannot be
///         read, or a disk that is full
class results {
 public:
  /// `path` is the CSV file; `settings` goes into every row, and rows with another text are refused.
  results(std::string path, std::string settings, grid const& all);
  results(results const&) = delete;
  results& operator=(results const&) = delete;
  ~results();

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
  void read(std::string const& path, bool journal);
  void open_journal();

  std::string path_;
  std::string settings_;
  grid all_;
  std::map<std::string, std::string> numbers_;  // by key: the rest of the row
  std::vector<std::string> order_;              // keys as they were met
  std::FILE* journal_ = nullptr;
  std::mutex mutex_;
};

}  // namespace sweep
