// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <istream>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/batch/column_rules.hpp>
#include <prefer/data/json_lines.hpp>
#include <prefer/data/lines.hpp>
#include <prefer/data/place.hpp>

namespace prefer::inline v0_1::data {

/// Where a file keeps the log-probabilities of another model.
struct reference_names {
  /// One column per completion of a row, in the order of the data: chosen, then rejected. In a JSON Lines file
  /// one name may also stand for a list of numbers per row, as ranked lists of any length need.
  std::vector<std::string> columns = {"ref_chosen_logps", "ref_rejected_logps"};
  /// The column of KL examples (labelled examples); needed where the data has those.
  std::string kl_examples = "ref_KL_logps";
};

/// A model's log-probabilities of a data set, in its order: what cached::given takes.
struct reference_numbers {
  std::vector<double> log_prob;     ///< nats, one per completion
  std::vector<double> kl_examples;  ///< nats, one per row, or empty
};

namespace detail {

// Collects the numbers row by row and refuses what does not fit the data.
class reference_collector {
 public:
  reference_collector(choice_data const& data, reference_names const& names, place const& at)
      : data_(data), names_(names), source_(at) {
    data.expects_shapes(at.reader.c_str());
    ::prefer::expects(!names.columns.empty(),
                      "data::reference_columns: it needs the name of a column");
  }

  // How many completions the next row has.
  [[nodiscard]] std::size_t completions(place const& at) const {
    if (row_ == data_.size()) {
      at.refuse("there are more rows than the " + std::to_string(data_.size()) +
                " of the data set");
    }
    return data_.offset[row_ + 1] - data_.offset[row_];
  }
  [[nodiscard]] bool wants_kl_examples() const { return !data_.kl_examples.empty(); }

  void add(place const& at, std::string_view name, double number) {
    out_.log_prob.push_back(checked(at, name, number));
  }
  void add_kl_example(place const& at, double number) {
    out_.kl_examples.push_back(checked(at, names_.kl_examples, number));
  }
  void end_row() { ++row_; }

  [[nodiscard]] reference_numbers result() {
    if (row_ != data_.size()) {
      source_.refuse("there are " + std::to_string(row_) + " rows; the data set has " +
                     std::to_string(data_.size()));
    }
    return std::move(out_);
  }

 private:
  static double checked(place const& at, std::string_view name, double number) {
    constexpr number_rule rule = rule_of(column_rule::log_prob);
    if (rule.holds(number)) return number;
    at.refuse("column " + in_quotes(name) + ": found " +
              prefer::detail::found(number, rule.expected));
  }

  choice_data const& data_;
  reference_names const& names_;
  place source_;
  std::size_t row_ = 0;
  reference_numbers out_;
};

inline std::string columns_for(std::size_t completions, std::size_t names) {
  return "the row has " + std::to_string(completions) + " completions in the data set and " +
         std::to_string(names) + (names == 1 ? " column was named" : " columns were named");
}

// Cells of one line of comma-separated values; a cell may be quoted, and then hold commas and doubled quotes.
inline void split_csv(line_reader const& lines, std::vector<std::string>& cells) {
  cells.clear();
  std::string_view const line = lines.line();
  std::size_t i = 0;
  for (bool more = true; more;) {
    std::string cell;
    if (i < line.size() && line[i] == '"') {
      for (++i;; ++i) {
        if (i == line.size()) {
          lines.at().refuse(
              "a quoted cell does not end on its line; line ends inside cells are "
              "not read here");
        }
        if (line[i] != '"') {
          cell += line[i];
        } else if (i + 1 < line.size() && line[i + 1] == '"') {
          cell += line[i++];
        } else {
          break;
        }
      }
      ++i;
      if (i < line.size() && line[i] != ',') {
        lines.at().refuse("there is text behind the closing quote of cell " +
                          std::to_string(cells.size() + 1));
      }
    } else {
      std::size_t const end = std::min(line.find(',', i), line.size());
      cell = line.substr(i, end - i);
      i = end;
    }
    cells.push_back(std::move(cell));
    more = i < line.size();
    ++i;
  }
}

inline reference_numbers reference_csv(std::unique_ptr<byte_source> source, place const& at,
                                       choice_data const& data, reference_names const& names) {
  constexpr std::size_t most_line_bytes = std::size_t{64} << 20;
  line_reader lines(std::move(source), at, "a header line with the names of the columns",
                    most_line_bytes);
  reference_collector out(data, names, at);
  std::vector<std::string> cells;
  lines.next();
  split_csv(lines, cells);
  std::vector<std::string> const header = cells;
  auto const where = [&](std::string const& name) {
    auto const found = std::find(header.begin(), header.end(), name);
    if (found == header.end()) {
      lines.at().refuse("column " + in_quotes(name) + " is missing in the header " +
                        in_quotes(lines.line(), 120));
    }
    if (std::find(found + 1, header.end(), name) != header.end()) {
      lines.at().refuse("column " + in_quotes(name) + " is named twice in the header");
    }
    return static_cast<std::size_t>(found - header.begin());
  };
  std::vector<std::size_t> columns;
  for (std::string const& name : names.columns) columns.push_back(where(name));
  std::size_t const kl_examples = out.wants_kl_examples() ? where(names.kl_examples) : 0;

  auto const number = [&](std::size_t cell) {
    std::string const& text = cells[cell];
    double result = 0;
    auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), result);
    if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(result)) {
      lines.at().refuse("column " + in_quotes(header[cell]) + ": found " + in_quotes(text) +
                        "; expected " + rule_of(column_rule::log_prob).expected);
    }
    return result;
  };
  while (lines.next()) {
    split_csv(lines, cells);
    if (cells.size() != header.size()) {
      lines.at().refuse("found " + std::to_string(cells.size()) + " cells; expected " +
                        std::to_string(header.size()) + " as in the header" +
                        (cells.size() < header.size() && !lines.has_line_end()
                             ? " (the file is truncated)"
                             : ""));
    }
    std::size_t const completions = out.completions(lines.at());
    if (completions != columns.size()) {
      lines.at().refuse(columns_for(completions, columns.size()));
    }
    for (std::size_t const cell : columns) out.add(lines.at(), header[cell], number(cell));
    if (out.wants_kl_examples()) out.add_kl_example(lines.at(), number(kl_examples));
    out.end_row();
  }
  return out.result();
}

inline reference_numbers reference_json(json_row_reader rows, place const& at,
                                        choice_data const& data, reference_names const& names) {
  reference_collector out(data, names, at);
  json_row row;
  while (rows.next(row)) {
    std::size_t const completions = out.completions(row.at);
    json const& first = field(row, names.columns.front(), "the log-probability of a completion");
    if (names.columns.size() == 1 && first.is_array()) {
      if (first.size() != completions) {
        refuse_field(row, names.columns.front(),
                     "found a list of " + std::to_string(first.size()) + "; expected " +
                         std::to_string(completions) + ", one number per completion");
      }
      for (json const& each : first) {
        out.add(row.at, names.columns.front(), number_in(row, names.columns.front(), each));
      }
    } else {
      if (completions != names.columns.size()) {
        row.at.refuse(columns_for(completions, names.columns.size()));
      }
      for (std::string const& name : names.columns) out.add(row.at, name, number(row, name));
    }
    if (out.wants_kl_examples()) out.add_kl_example(row.at, number(row, names.kl_examples));
    out.end_row();
  }
  return out.result();
}

inline constexpr char const* reference_columns_reader = "data::reference_columns";

}  // namespace detail

/// Log-probabilities that another model gave to the completions of a data set, from a file with one row per row
/// of the data, in its order: JSON Lines, or where the name ends in ".csv" comma-separated values with a header.
///
///   auto const numbers = prefer::data::reference_columns("llama-70b.jsonl", data);
///   auto reference = prefer::cached<float>::given(numbers.log_prob, data, identity, numbers.kl_examples);
///
/// Further columns are passed over. Sums over the completion's tokens are meant, in nats, whatever the
/// tokenizer.
///
/// Errors  backend_error naming file and line: a column that is missing, a number that is not a log-probability
///         (NaN, infinite, above 0), another number of them than the row has completions, or of rows than the
///         data has
/// TRL     the columns ref_chosen_logps and ref_rejected_logps of its DPOTrainer and ref_KL_logps of its
///         KTOTrainer, whose other column is named ref_logps; no one checks there that they fit the data
[[nodiscard]] inline reference_numbers reference_columns(std::string path, choice_data const& data,
                                                         reference_names const& names = {}) {
  bool const is_csv = path.size() >= 4 && path.compare(path.size() - 4, 4, ".csv") == 0;
  place const at{detail::reference_columns_reader, path, 0};
  if (is_csv) {
    return detail::reference_csv(std::make_unique<file_bytes>(at), at, data, names);
  }
  return detail::reference_json(
      detail::json_file(detail::reference_columns_reader, std::move(path), {}), at, data, names);
}

/// The same from JSON Lines in a text; `name` stands for the path in errors.
[[nodiscard]] inline reference_numbers reference_columns_in_json(std::string_view text,
                                                                 choice_data const& data,
                                                                 reference_names const& names = {},
                                                                 std::string const& name = "text") {
  return detail::reference_json(detail::json_text(detail::reference_columns_reader, text, name, {}),
                                place{detail::reference_columns_reader, name, 0}, data, names);
}
/// The same from comma-separated values in a text.
[[nodiscard]] inline reference_numbers reference_columns_in_csv(std::string_view text,
                                                                choice_data const& data,
                                                                reference_names const& names = {},
                                                                std::string const& name = "text") {
  place const at{detail::reference_columns_reader, name, 0};
  return detail::reference_csv(std::make_unique<text_bytes>(text), at, data, names);
}

}  // namespace prefer::inline v0_1::data
