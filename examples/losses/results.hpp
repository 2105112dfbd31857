// SPDX-License-Identifier: MIT
#pragma once

#include <cstdio>
#include <optional>
#include <span>
#include <string>

#include <nlohmann/json.hpp>

#include <prefer/batch/sum_and_count.hpp>
#include <prefer/file/atomic_file.hpp>
#include <prefer/file/fingerprint.hpp>

#include "../program/claim.hpp"
#include "named_loss.hpp"

/// JSON has no infinity and no NaN; they are written as the strings "inf", "-inf" and "nan".
[[nodiscard]] std::string json_number(double value);
[[nodiscard]] std::string json_list(std::span<double const> values);

/// What is said at the end.
struct summary {
  prefer::sum_and_count loss;
  prefer::sum_and_count accuracy;  // strict: a tie is a miss
  prefer::sum_and_count margin;
  prefer::sum_and_count reward_desirable;
  prefer::sum_and_count reward_undesirable;

  /// A sentence on standard error, or with --json a line on standard output.
  void print(named_loss const& of) const;
};

/// Where result lines go: standard output, or a file that appears when it is complete.
///
/// The lines of a file that is not yet complete are kept beside it, in FILE.unfinished, with what the summary needs to go
/// on from them: a program that is interrupted, or killed, leaves them, and the same command on the same rows takes them
/// from there.
class result_sink {
 public:
  /// `settings` stands for all that the results depend on besides the rows. An empty path is standard output.
  ///
  /// Errors  backend_error for what cannot be written, or is being written by another program, and for unfinished
  ///         results of other settings
  result_sink(std::string path, std::string const& settings);
  result_sink(result_sink const&) = delete;
  result_sink& operator=(result_sink const&) = delete;
  ~result_sink();

  /// Whether a row was finished before this program began, so that it needs to be read and not evaluated. Called once for
  /// each row, in order; the summary is that of the finished rows after the last of them.
  ///
  /// Errors  backend_error where the rows are not those of the interrupted program
  [[nodiscard]] bool has(nlohmann::ordered_json const& row, summary& total);
  /// Rows that an earlier program finished.
  [[nodiscard]] std::size_t finished_before() const { return before_.rows; }

  void write(std::string const& line);
  /// One more row is finished: `total` is the summary with it.
  void row_done(summary const& total);

  /// The results are complete: the file appears. Errors  backend_error
  void finish();
  /// Somebody asked for the end: what is done is kept. Where and what, as the beginning of a sentence.
  [[nodiscard]] std::string keep(summary const& total);

 private:
  struct state {
    std::size_t rows = 0;
    std::uint64_t input = 0;  // fingerprint of the rows
    summary total;
  };
  void read_unfinished(std::string const& settings);
  void open_unfinished(std::string const& settings);
  void write_state(summary const& total);
  void append(std::string const& text);
  [[noreturn]] void cannot_write();

  std::string path_;
  std::string unfinished_;  // empty: bytes go out as they are written
  std::optional<program::claim> alone_;
  std::FILE* journal_ = nullptr;
  state before_;
  std::size_t rows_ = 0;
  std::size_t rows_kept_ = 0;
  prefer::fingerprint input_;
  bool complete_ = false;
  bool keep_ = false;
  std::optional<prefer::atomic_file> stream_;
};
