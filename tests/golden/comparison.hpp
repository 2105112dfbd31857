// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <prefer/batch/columns.hpp>
#include <prefer/metrics/rewards.hpp>

#include "golden.hpp"
#include "schema.hpp"
#include "trl_losses.hpp"

// What the rows of every trainer are compared with.

namespace golden {

/// A column in the precision in which it is evaluated.
class numbers {
 public:
  numbers() = default;
  numbers(std::vector<double> values, precision stored)
      : stored_(stored), doubles_(std::move(values)), floats_(doubles_.begin(), doubles_.end()) {
    if (stored == precision::in_float) doubles_.assign(floats_.begin(), floats_.end());
  }
  [[nodiscard]] prefer::column column() const {
    return stored_ == precision::in_float ? prefer::column(floats_) : prefer::column(doubles_);
  }
  [[nodiscard]] double operator[](std::size_t i) const { return doubles_[i]; }
  [[nodiscard]] std::size_t size() const { return doubles_.size(); }
  [[nodiscard]] bool empty() const { return doubles_.empty(); }

 private:
  precision stored_ = precision::in_double;
  std::vector<double> doubles_;
  std::vector<float> floats_;
};

[[nodiscard]] inline double total(std::vector<double> const& values) {
  double sum = 0.0;
  for (double const each : values) sum += each;
  return sum;
}

/// Compares the numbers of one case, and keeps what is off.
class comparison {
 public:
  comparison(golden_case const& row, tolerance const& allowed, outcome& into)
      : row_(&row), allowed_(&allowed), into_(&into) {}

  [[nodiscard]] bool has(char const* field) const { return row_->fields->contains(field); }

  /// Pair i has a score that is cut off: neither its numbers nor the mean can be those of the formula.
  void cut_off(std::size_t pair) {
    if (cut_.size() <= pair) cut_.resize(pair + 1);
    cut_[pair] = true;
  }

  void number(char const* field, quantity const& q, double got) {
    pair_ = cut_.size();
    compare(field, "", (*row_->fields)[field], q, got);
  }
  /// Element i of a field.
  void element(char const* field, std::size_t i, quantity const& q, double got) {
    pair_ = i;
    compare(field, std::to_string(i), at(field, i), q, got);
  }
  /// Element i of a field, or where that is a list per token every token's entry: each has the coefficient of the
  /// sum, times the weight of the token in it.
  void coefficient(char const* field, std::size_t i, quantity const& q, double got,
                   std::vector<double> const& token_weight = {}) {
    pair_ = i;
    json const& value = at(field, i);
    if (!value.is_array()) return compare(field, std::to_string(i), value, q, got);
    for (std::size_t t = 0; t < value.size(); ++t) {
      compare(field, std::to_string(i) + "." + std::to_string(t), value[t], q,
              got * (token_weight.empty() ? 1.0 : token_weight.at(t)));
    }
  }
  /// Entry t of element i.
  void number_at(char const* field, std::size_t i, std::size_t t, quantity const& q, double got) {
    pair_ = i;
    json const& value = at(field, i);
    if (!value.is_array() || t >= value.size()) {
      refuse(row_->place, std::string(field) + " is too short");
    }
    compare(field, std::to_string(i) + "." + std::to_string(t), value[t], q, got);
  }

 private:
  [[nodiscard]] json const& at(char const* field, std::size_t i) const {
    json const& values = member(*row_->fields, field, row_->place);
    if (!values.is_array() || i >= values.size()) {
      refuse(row_->place, std::string(field) + " is too short");
    }
    return values[i];
  }
  void compare(char const* field, std::string const& index, json const& expected, quantity q,
               double got) {
    q.expected = number_of(expected, row_->place + ", " + field);
    bool good = false;
    if (std::isfinite(q.expected)) {
      ++into_->numbers;
      good = std::fabs(got - q.expected) <= (*allowed_)(*row_, q);  // false for NaN
    } else {
      // What TRL could not compute, or what no double holds: ours may be finite, and is never NaN.
      good = std::isnan(q.expected) ? !std::isnan(got) : std::isfinite(got) || got == q.expected;
    }
    if (good) return;
    bool const of_cut_score = !cut_.empty() && (pair_ >= cut_.size() || cut_[pair_]);
    if (of_cut_score && !std::isnan(got)) {
      into_->status = status::saturated;
    } else {
      into_->mismatches.push_back({field, index, q.expected, got});
    }
  }

  golden_case const* row_;
  tolerance const* allowed_;
  outcome* into_;
  std::vector<bool> cut_;  // up to the last pair whose score is cut off
  std::size_t pair_ = 0;   // of the number that is compared; cut_.size() for a mean
};

/// What prefer::metrics says of one completion, and how TRL's trainers log it.
void compare_reward(comparison& compare, char const* field, std::size_t i, double policy,
                    double reference, double length, prefer::reward_rule rule);

[[nodiscard]] inline double size_at(numbers const& policy, numbers const& reference,
                                    std::size_t i) {
  return std::fabs(policy[i]) + std::fabs(reference[i]);
}

/// The rows of each trainer, in one of *_rows.cpp.
void compare_pairs(golden_case const& row, trl_loss trl, precision stored, tolerance const& allowed,
                   outcome& into);
/// Flat answers, of which the row says which won.
void compare_online(golden_case const& row, trl_loss const& trl, precision stored,
                    tolerance const& allowed, outcome& into);
/// One answer of the policy, one of the reference; the row says which won.
void compare_xpo(golden_case const& row, trl_loss const& trl, precision stored,
                 tolerance const& allowed, outcome& into);
/// Lists of gold, chosen, rejected.
void compare_tpo(golden_case const& row, trl_loss const& trl, precision stored,
                 tolerance const& allowed, outcome& into);
void compare_kto(golden_case const& row, trl_loss const& trl, precision stored,
                 tolerance const& allowed, outcome& into);
/// Batches of one run share its memory.
void compare_bco(golden_case const& row, trl_loss const& trl, precision stored,
                 tolerance const& allowed, run_so_far& run, outcome& into);
/// Rows of tokens.
void compare_nash_md(golden_case const& row, trl_loss const& trl, precision stored,
                     tolerance const& allowed, outcome& into);

}  // namespace golden
