// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include <prefer/batch/backend.hpp>
#include <prefer/batch/columns.hpp>
#include <prefer/batch/record_from.hpp>

// A backend whose numbers the host cannot read one by one: what a device would be, in as few lines as it takes. Whatever
// does cross from it to the host is counted.

namespace prefer::test {

class toy;

/// What has crossed from the toy's memory to the host.
struct toy_crossings {
  std::size_t sums = 0;     // times that sums were waited for
  std::size_t columns = 0;  // times that a number of each record was
};

/// A column of the toy: a handle without elements. Absent by default.
class toy_column {
 public:
  using offsets = std::span<std::size_t const>;

  toy_column() = default;
  toy_column(std::vector<double> numbers, toy_crossings& crossings)
      : numbers_(std::make_shared<std::vector<double>>(std::move(numbers))),
        crossings_(&crossings) {}

  [[nodiscard]] bool present() const { return numbers_ != nullptr; }
  [[nodiscard]] std::size_t size() const { return present() ? numbers_->size() : 0; }

  /// For tests, which look at what was computed when it is done. Not counted.
  [[nodiscard]] std::vector<double> const& look() const { return *numbers_; }
  [[nodiscard]] toy_crossings* crossings() const { return crossings_; }

  friend toy backend_of(toy_column const& column);

 private:
  friend class toy;
  std::shared_ptr<std::vector<double>> numbers_;
  toy_crossings* crossings_ = nullptr;
};

/// A sum that stays where it was made.
class toy_number {
 public:
  friend toy_number operator/(toy_number a, double b) { return toy_number(a.value_ / b); }

 private:
  friend class toy;
  explicit toy_number(double value) : value_(value) {}
  double value_;
};

class toy_rows {
 public:
  [[nodiscard]] bool empty() const { return numbers_.empty(); }

 private:
  friend class toy;
  std::vector<std::uint32_t> numbers_;
};

class toy {
 public:
  using column = toy_column;
  using result = toy_column;
  using rows = toy_rows;
  using number = toy_number;

  /// A column that owns its numbers: what gather makes, and room for results.
  struct owned {
    toy_column made;
    [[nodiscard]] toy_column view() const { return made; }
    [[nodiscard]] toy_column result() const { return made; }
  };

  explicit toy(toy_crossings& crossings) : crossings_(&crossings) {}

  template <class Columns, class F, std::size_t N>
  [[nodiscard]] std::array<toy_number, N> for_each_record(
      Columns const& batch, F const& formula, std::array<toy_column, N> const& results) const {
    std::array<double, N> sums{};
    for (std::size_t i = 0; i < batch.size(); ++i) {
      auto const numbers = numbers_at(batch, formula, i);
      for (std::size_t n = 0; n < N; ++n) {
        sums[n] += numbers[n];
        if (results[n].present()) (*results[n].numbers_)[i] = numbers[n];
      }
    }
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      return std::array<toy_number, N>{toy_number(sums[I])...};
    }(std::make_index_sequence<N>());
  }
  template <class F>
  [[nodiscard]] toy_number for_each_list(basic_list_columns<toy_column> const& batch,
                                         F const& formula, toy_column const& of_lists,
                                         toy_column const& of_completions) const {
    double sum = 0.0;
    for (std::size_t g = 0; g < batch.size(); ++g) {
      std::size_t const begin = batch.offset[g];
      std::size_t const length = batch.offset[g + 1] - begin;
      auto const list = list_from<double>(batch, g, number_at{});
      std::vector<double> out(length), room(F::room * length);
      double const weight = weight_from<double>(batch, g, number_at{});
      double const of_list = formula(list, weight, std::span<double>(out), std::span<double>(room));
      sum += of_list;
      if (of_lists.present()) (*of_lists.numbers_)[g] = of_list;
      for (std::size_t i = 0; of_completions.present() && i < length; ++i) {
        (*of_completions.numbers_)[begin + i] = out[i];
      }
    }
    return toy_number(sum);
  }
  template <std::size_t N>
  [[nodiscard]] std::array<double, N> read(std::array<toy_number, N> const& sums) const {
    ++crossings_->sums;
    std::array<double, N> out{};
    for (std::size_t n = 0; n < N; ++n) out[n] = sums[n].value_;
    return out;
  }
  template <class Columns, class F>
  [[nodiscard]] std::vector<double> numbers(Columns const& batch, F const& formula) const {
    ++crossings_->columns;
    return each_number(batch, formula);
  }
  template <class Columns, class F>
  [[nodiscard]] toy_rows ascending(Columns const& batch, F const& formula) const {
    std::vector<double> const by = each_number(batch, formula);
    toy_rows out;
    out.numbers_.resize(by.size());
    std::iota(out.numbers_.begin(), out.numbers_.end(), 0u);
    std::stable_sort(out.numbers_.begin(), out.numbers_.end(),
                     [&](std::uint32_t a, std::uint32_t b) {
                       return by[a] < by[b] || (std::isnan(by[b]) && !std::isnan(by[a]));
                     });
    return out;
  }
  [[nodiscard]] toy_rows inverse(toy_rows const& of) const {
    toy_rows out;
    out.numbers_.resize(of.numbers_.size());
    for (std::uint32_t k = 0; k < of.numbers_.size(); ++k) out.numbers_[of.numbers_[k]] = k;
    return out;
  }
  [[nodiscard]] toy_rows gather(toy_rows const& from, toy_rows const& which) const {
    toy_rows out;
    for (std::uint32_t const row : which.numbers_) out.numbers_.push_back(from.numbers_[row]);
    return out;
  }
  [[nodiscard]] owned gather(toy_column const& from, toy_rows const& which) const {
    std::vector<double> out;
    for (std::uint32_t const row : which.numbers_) out.push_back((*from.numbers_)[row]);
    return {toy_column(std::move(out), *crossings_)};
  }
  [[nodiscard]] owned scatter(toy_column const& from, toy_rows const& to) const {
    std::vector<double> out(to.numbers_.size());
    for (std::size_t i = 0; i < out.size(); ++i) out[to.numbers_[i]] += (*from.numbers_)[i];
    return {toy_column(std::move(out), *crossings_)};
  }
  [[nodiscard]] owned room(std::size_t n) const {
    return {toy_column(std::vector<double>(n), *crossings_)};
  }

 private:
  /// What the library asks for when it makes records.
  struct number_at {
    double operator()(toy_column const& column, std::size_t row) const {
      return (*column.numbers_)[row];
    }
  };
  template <class Columns, class F>
  static auto numbers_at(Columns const& batch, F const& formula, std::size_t i) {
    return apply_formula(formula, record_from<double>(batch, i, number_at{}),
                         weight_from<double>(batch, i, number_at{}));
  }
  template <class Columns, class F>
  static std::vector<double> each_number(Columns const& batch, F const& formula) {
    std::vector<double> out;
    for (std::size_t i = 0; i < batch.size(); ++i) {
      out.push_back(numbers_at(batch, formula, i)[0]);
    }
    return out;
  }

  toy_crossings* crossings_;
};

[[nodiscard]] inline toy backend_of(toy_column const& column) { return toy(*column.crossings_); }

/// Where the toy's columns are, for the laws of backends.
struct toy_place {
  toy_crossings crossings{};

  [[nodiscard]] toy on() { return toy(crossings); }
  [[nodiscard]] toy_column upload(std::vector<double> numbers) {
    return {std::move(numbers), crossings};
  }
  [[nodiscard]] std::size_t waits() const { return crossings.sums + crossings.columns; }
  [[nodiscard]] std::size_t columns() const { return crossings.columns; }
};

}  // namespace prefer::test
