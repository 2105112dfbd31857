// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <prefer/expects.hpp>
#include <prefer/text/number.hpp>

#include "check.hpp"

namespace score {

/// A golden file. What it lacks is an error with its name.
class golden_file {
 public:
  using json = nlohmann::json;

  explicit golden_file(std::string path) : path_(std::move(path)) {
    std::ifstream stream(path_, std::ios::binary);
    if (!stream) fail("cannot open file");
    content_ = json::parse(stream, nullptr, false);
    if (!content_.is_object()) fail("is no object of JSON");
  }

  [[nodiscard]] std::string const& path() const { return path_; }
  [[nodiscard]] std::string name() const { return std::filesystem::path(path_).filename(); }
  [[nodiscard]] std::string folder() const {
    auto const parent = std::filesystem::path(path_).parent_path();
    return parent.empty() ? "." : parent.string();
  }
  [[nodiscard]] json const& content() const { return content_; }
  [[nodiscard]] bool has(char const* name) const { return content_.contains(name); }

  /// Runs what reads the file: a member that is missing or of another type becomes a sentence.
  template <class Read>
  auto read(Read const& how) const {
    try {
      return how(content_);
    } catch (json::exception const& error) {
      fail(error.what());
    }
  }
  [[noreturn]] void fail(std::string const& reason) const {
    prefer::refuse(prefer::backend_error("score --check", path_, reason));
  }

 private:
  std::string path_;
  json content_;
};

/// Collects comparisons of one part of a file.
class comparison {
 public:
  comparison(check_outcome& out, golden_file const& file, std::string part) : out_(out) {
    part_.file = file.path();
    part_.part = std::move(part);
  }
  comparison(comparison const&) = delete;
  comparison& operator=(comparison const&) = delete;
  ~comparison() { out_.parts.push_back(part_); }

  /// |found - expected| <= allowed.
  void number(std::string const& where, double found, double expected, double allowed) {
    ++part_.numbers;
    double const share = std::fabs(found - expected) / allowed;
    if (!(share <= part_.worst)) {
      part_.worst = share;
      part_.where = where;
    }
    if (share <= 1.0) return;
    miss(where, prefer::text::shortest(found),
         prefer::text::shortest(expected) + " within " + prefer::text::shortest(allowed));
  }
  void same(std::string const& where, bool is, std::string const& found,
            std::string const& expected) {
    ++part_.numbers;
    if (!is) miss(where, found, expected);
  }
  void miss(std::string const& where, std::string const& found, std::string const& expected) {
    out_.mismatches.push_back(part_.file + ": " + part_.part + ", " + where + ": found " + found +
                              ", expected " + expected);
  }

 private:
  check_outcome& out_;
  checked_part part_;
};

/// Ids as a list.
[[nodiscard]] inline std::string in_words(std::vector<std::uint32_t> const& ids) {
  std::string out = "[";
  for (std::uint32_t const id : ids) out += (out.size() == 1 ? "" : ", ") + std::to_string(id);
  return out + "]";
}

}  // namespace score
