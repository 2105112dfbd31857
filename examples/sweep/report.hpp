// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "grid.hpp"
#include "problem.hpp"
#include "results.hpp"
#include "statistics.hpp"

namespace sweep {

/// A table that is printed and goes into the page; the first `words` columns hold text, the others numbers.
struct sheet {
  std::size_t words = 1;
  std::vector<std::string> header = {};
  std::vector<std::vector<std::string>> rows = {};
};

/// A heading with what stands below it, in this order.
struct section {
  std::string title;
  std::vector<sheet> tables = {};
  std::string note = {};
  std::vector<std::string> pictures = {};  ///< SVG; not printed
};

/// What a sweep found, as text for the terminal and as one HTML page that needs no other file.
class page {
 public:
  explicit page(std::string title) : title_(std::move(title)) {}

  void add(section one) { sections_.push_back(std::move(one)); }
  void add_first(section one) { sections_.insert(sections_.begin(), std::move(one)); }

  [[nodiscard]] std::string text() const;
  [[nodiscard]] std::string html() const;
  /// Errors  backend_error; a page that was there before keeps its content then
  void write_html(std::string const& path) const;

 private:
  std::string title_;
  std::vector<section> sections_;
};

/// A loss with a reference at the beta whose mean reward is highest.
struct best_setting {
  setting what;
  std::vector<double> reward;  ///< by seed
  estimate mean;
};
[[nodiscard]] best_setting best_of(grid const& all, results const& rows, std::size_t loss,
                                   std::string const& reference, double flip, std::uint64_t steps);

/// "1.411 ± 0.012"; "1.411" where there is no spread.
[[nodiscard]] std::string with_error(estimate const& value, int precision = 3);

/// "+1.41", "-0.30"
[[nodiscard]] std::string with_sign(double value, int precision);

/// Needs every run of the grid.
[[nodiscard]] page report_of(grid const& all, results const& rows, task const& of);

}  // namespace sweep
