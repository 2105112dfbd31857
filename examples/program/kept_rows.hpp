// SPDX-License-Identifier: MIT
#pragma once

#include <cerrno>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/file/atomic_file.hpp>
#include <prefer/file/fingerprint.hpp>

#include "json.hpp"

namespace program {

/// A number for the bytes of a file: the same file, wherever it lies. A pipe cannot be read twice, and has none: 0.
///
/// Errors  backend_error
[[nodiscard]] inline std::uint64_t content_of(std::string const& path) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return 0;
  std::FILE* const file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) {
    prefer::refuse(prefer::backend_error("program", path,
                                         std::string("cannot open file: ") + std::strerror(errno)));
  }
  prefer::fingerprint out;
  std::vector<char> piece(std::size_t{1} << 20);
  for (std::size_t count = 0; (count = std::fread(piece.data(), 1, piece.size(), file)) != 0;) {
    out.add(std::string_view(piece.data(), count));
  }
  bool const failed = std::ferror(file) != 0;
  int const reason = errno;
  std::fclose(file);
  if (failed) {
    prefer::refuse(prefer::backend_error(
        "program", path, std::string("cannot read file: ") + std::strerror(reason)));
  }
  return out.value();
}

/// Why the file that begins with `line` is not ours to go on with, where ours begin with `first`: of other settings, or
/// no such file at all. Empty where it is ours, which a beginning of `first` without an end is too.
[[nodiscard]] inline std::string not_ours(std::string const& line, bool whole,
                                          std::string const& first) {
  if (whole ? line == first : first.rfind(line, 0) == 0) return "";
  bool const of_a_program = line.rfind("{\"program\":", 0) == 0;
  return (of_a_program
              ? "here is unfinished work of other settings, " + line + " where these are " + first
              : std::string("this file is not one of unfinished work")) +
         "; give another --output, or move the file away";
}

/// Rows that outlive the program until its reports are written: one line of JSON each, behind a line that says of which
/// settings, in FILE. Half a line at the end, of a program that was killed, is dropped.
class kept_rows {
 public:
  /// Errors  backend_error for rows of other settings, and for what cannot be written
  kept_rows(std::string path, json const& settings) : path_(std::move(path)) {
    std::string const first = settings.dump();
    std::string text = first + "\n";
    std::ifstream stream(path_, std::ios::binary);
    std::string line;
    if (stream && std::getline(stream, line)) {
      std::string const reason = not_ours(line, !stream.eof(), first);
      if (!reason.empty()) refuse(reason);
      while (std::getline(stream, line) && !stream.eof()) {
        auto row = json::parse(line, nullptr, false);
        if (row.is_discarded()) break;
        text += line + "\n";
        rows_.push_back(std::move(row));
      }
    }
    stream.close();
    prefer::atomic_file whole(path_);  // begun anew, so that it ends with a whole line
    whole.write(text);
    whole.commit();
    file_ = std::fopen(path_.c_str(), "ab");
    if (file_ == nullptr) refuse(std::string("cannot open file: ") + std::strerror(errno));
  }
  kept_rows(kept_rows const&) = delete;
  kept_rows& operator=(kept_rows const&) = delete;
  ~kept_rows() {
    if (file_ != nullptr) std::fclose(file_);
  }

  /// The rows that were there, in the order in which they were added.
  [[nodiscard]] std::vector<json> const& rows() const { return rows_; }

  void add(json const& row) {
    std::string const line = row.dump() + "\n";
    if (std::fwrite(line.data(), 1, line.size(), file_) != line.size() || std::fflush(file_) != 0) {
      refuse(std::string("cannot write: ") + std::strerror(errno));
    }
  }

  /// The reports are written.
  void forget() {
    std::fclose(std::exchange(file_, nullptr));
    std::remove(path_.c_str());
  }

 private:
  [[noreturn]] void refuse(std::string const& reason) const {
    prefer::refuse(prefer::backend_error("kept_rows", path_, reason));
  }

  std::string path_;
  std::vector<json> rows_;
  std::FILE* file_ = nullptr;
};

/// A number as `number` wrote it.
[[nodiscard]] inline double number_in(json const& value) {
  if (value.is_number()) return value.get<double>();
  auto const text = value.get<std::string>();
  return text == "nan" ? NAN : text == "inf" ? HUGE_VAL : -HUGE_VAL;
}

}  // namespace program
