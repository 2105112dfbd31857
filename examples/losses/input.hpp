// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include <prefer/data/json_row.hpp>
#include <prefer/data/reading.hpp>

/// The fields of rows as the file calls them: names that --columns gives, and TRL's where they mean the same.
class input_columns {
 public:
  explicit input_columns(std::vector<prefer::data::renamed_column> given);

  /// Gives the fields of a row their names here. Errors: backend_error for two fields of one name.
  void rename(prefer::data::json_row& row);
  /// Counts the fields of a row that are not among those that are read.
  void count_unused(prefer::data::json_row const& row, std::vector<std::string> const& read);
  /// Says on standard error which names were read as which, and which fields `loss` does not read.
  ///
  /// Errors  backend_error for a name of --columns that no row had
  void say(std::string const& loss, prefer::data::place const& source) const;

 private:
  std::vector<prefer::data::renamed_column> names_;
  std::size_t given_;  // of these were asked for; the others are TRL's
  std::map<std::string, prefer::data::happened> renamed_;
  std::map<std::string, prefer::data::happened> unused_;
};
