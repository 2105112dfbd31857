// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include <prefer/report/line_plot.hpp>

namespace sweep {

/// A table that is printed and goes into the page; the first `words` columns hold text, the others numbers.
struct sheet {
  std::size_t words = 1;
  std::vector<std::string> header = {};
  std::vector<std::vector<std::string>> rows = {};
};

/// As many markers and colours as are easily told apart.
inline constexpr std::size_t most_curves = 6;

/// A heading with what stands below it, in this order.
struct section {
  std::string title;
  std::vector<sheet> tables = {};
  std::string note = {};
  std::vector<std::string> pictures = {};  ///< SVG; not printed
  std::vector<std::string> faults = {};    ///< of pictures that could not be drawn

  /// Draws a picture; one that cannot be drawn leaves the others and the tables as they are.
  void draw(prefer::report::line_plot const& plot) {
    try {
      pictures.push_back(plot.svg());
    } catch (std::exception const& error) {
      faults.push_back("the picture \"" + plot.title + "\" is missing: " + error.what());
    }
  }
};

/// What a sweep found, as text for the terminal and as one HTML page that needs no other file.
class page {
 public:
  explicit page(std::string title) : title_(std::move(title)) {}

  void add(section one) { sections_.push_back(std::move(one)); }
  void add_first(section one) { sections_.insert(sections_.begin(), std::move(one)); }

  /// What is missing from the page, as sentences.
  [[nodiscard]] std::vector<std::string> faults() const {
    std::vector<std::string> out;
    for (auto const& one : sections_) out.insert(out.end(), one.faults.begin(), one.faults.end());
    return out;
  }

  [[nodiscard]] std::string text() const;
  [[nodiscard]] std::string html() const;
  /// Errors  backend_error; a page that was there before keeps its content then
  void write_html(std::string const& path) const;

 private:
  std::string title_;
  std::vector<section> sections_;
};

}  // namespace sweep
