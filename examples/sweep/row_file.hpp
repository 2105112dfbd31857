// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdio>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sweep {

/// Rows of a CSV file that outlive the program: fields that identify a row, then what was measured. No field has a comma.
///
/// While runs are made, their rows are appended to a journal beside the CSV file, all rows of a run in one
/// piece; `finish` writes the CSV file anew, beside itself and renamed. Whenever the
/// program ends, what is lost is the runs in flight: half a line at the journal's end is dropped when the next
/// call reads it. Rows that were not asked for stay, behind those that were.
///
/// Errors  backend_error with path and line for a file of other columns or settings, one that cannot be
///         read, or a disk that is full
class row_file {
 public:
  /// `header` without its end; the first `key_fields` columns identify a row, and the first of all is `settings`, which is
  /// the same in every row.
  row_file(std::string path, std::string header, std::size_t key_fields, std::string settings);
  row_file(row_file const&) = delete;
  row_file& operator=(row_file const&) = delete;
  ~row_file();

  [[nodiscard]] std::string const& settings() const { return settings_; }
  /// The rest of a row; null where there is none. `key` has all key fields, joined by commas.
  [[nodiscard]] std::string const* find(std::string const& key) const;
  /// Every key, as they were met.
  [[nodiscard]] std::vector<std::string> const& keys() const { return order_; }

  struct row {
    std::string key;
    std::string numbers;  ///< joined by commas
  };
  /// Keeps rows of one run. May be called from several threads at once.
  void add(std::vector<row> const& rows);
  /// Writes the CSV file and removes the journal: first the rows that `visit` calls its argument with, then the others.
  void finish(std::function<void(std::function<void(std::string const&)> const&)> const& visit);

 private:
  void read(std::string const& path, bool journal);
  void open_journal();

  std::string path_;
  std::string header_;
  std::size_t key_fields_;
  std::size_t fields_;
  std::string settings_;
  std::map<std::string, std::string> numbers_;  // by key
  std::vector<std::string> order_;
  std::FILE* journal_ = nullptr;
  std::mutex mutex_;
};

/// The fields of a row, or of a part of one.
[[nodiscard]] std::vector<std::string_view> fields_of(std::string_view row);
/// An absent number is an empty field; a diverged one is nan.
[[nodiscard]] std::optional<double> number_in_field(std::string_view text);

}  // namespace sweep
