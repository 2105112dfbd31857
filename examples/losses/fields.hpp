// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <prefer/batch/load_record.hpp>
#include <prefer/data/json_lines.hpp>
#include <prefer/text/number.hpp>

#include "named_loss.hpp"

using prefer::column_name;
using prefer::data::json_row;

/// A number (or true and false) of each row, which becomes a column of the batch.
struct field {
  char const* name;
  column_name column;  // required where the loss needs it
  prefer::number_rule rule;
  bool is_truth;
  double otherwise = 0.0;
};

/// A field for a column, with the rule that the loss's meaning gives it.
template <column_name Name, prefer::column_rule Rule>
field field_of(char const* name, prefer::column_description<Name, Rule> is, named_loss const& loss,
               double otherwise = 0.0) {
  return {name, Name, rule_of(is, loss.meaning), Rule == prefer::column_rule::truth, otherwise};
}

[[noreturn]] inline void refuse_number(json_row const& row, std::string_view name, double value,
                                       std::string const& expected) {
  prefer::data::refuse_field(row, name,
                             "found " + prefer::text::shortest(value) + "; expected " + expected);
}

/// One field, row after row.
class field_values {
 public:
  field_values(field const& what, named_loss const& loss)
      : what_(what), needed_(needs(what, loss)), taken_(needed_ || takes(what, loss)) {}

  [[nodiscard]] char const* name() const { return what_.name; }
  void add(json_row const& row) {
    bool const there = prefer::data::find_field(row, what_.name) != nullptr;
    double const value = !there && !needed_ ? what_.otherwise
                         : what_.is_truth   ? (prefer::data::truth(row, what_.name) ? 1.0 : 0.0)
                                            : prefer::data::number(row, what_.name);
    if (there && !what_.rule.holds(value)) {
      refuse_number(row, what_.name, value, what_.rule.expected);
    }
    // Data that a loss has no use for may stand there; an instruction that it would not follow may not.
    if (there && !taken_ && prefer::optional_columns.contains(what_.column)) {
      prefer::data::refuse_field(row, what_.name, "this loss does not read it");
    }
    given_ = given_ || there;
    values_.push_back(value);
  }
  [[nodiscard]] prefer::column column() const {
    return taken_ && (given_ || needed_) ? prefer::column(values_) : prefer::column();
  }
  [[nodiscard]] double const& operator[](std::size_t i) const { return values_[i]; }
  [[nodiscard]] double last() const { return values_.back(); }
  void clear() {
    values_.clear();
    given_ = false;
  }
  [[nodiscard]] bool taken() const { return taken_; }

 private:
  static bool needs(field const& what, named_loss const& loss) {
    bool const of_baseline =
        what.column == column_name::kl_policy || what.column == column_name::kl_reference;
    return of_baseline ? loss.kl_examples : loss.needs.contains(what.column);
  }
  static bool takes(field const& what, named_loss const& loss) {
    return what.column == column_name::weight || loss.takes.contains(what.column);
  }

  field what_;
  bool needed_;
  bool taken_;
  bool given_ = false;
  std::vector<double> values_;
};

namespace described = prefer::described;

inline field weight_field(named_loss const& loss) {
  return field_of("weight", described::weight, loss, 1.0);
}
inline field beta_field(named_loss const& loss) {
  return field_of("beta", described::beta, loss, loss.beta.value_or(1.0));
}

/// Numbers of a list of completions.
inline std::vector<double> numbers_field(json_row const& row, std::string_view name) {
  auto const& value = prefer::data::field(row, name, "a list of numbers");
  if (!value.is_array() || value.empty()) {
    prefer::data::refuse_field(row, name, "expected a list of at least one number");
  }
  std::vector<double> out;
  for (auto const& element : value) {
    if (!element.is_number()) {
      prefer::data::refuse_field(row, name,
                                 "element " + std::to_string(out.size()) + " is " + element.dump() +
                                     "; expected a finite number");
    }
    out.push_back(element.get<double>());
  }
  return out;
}

/// Reads every field of a row; a name that is almost one of them is refused.
inline void add_row(json_row const& row, std::vector<field_values>& fields) {
  std::vector<std::string_view> known;
  for (auto const& one : fields) known.emplace_back(one.name());
  prefer::data::refuse_misspelt(row, known);
  for (auto& one : fields) one.add(row);
}

/// The names of the fields that the loss reads.
inline std::vector<std::string> names_of_taken(std::vector<field_values> const& fields) {
  std::vector<std::string> names;
  for (auto const& one : fields) {
    if (one.taken()) names.emplace_back(one.name());
  }
  return names;
}
