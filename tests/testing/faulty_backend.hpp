// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <stdexcept>
#include <utility>
#include <vector>

#include <prefer/batch/each_column.hpp>

#include "support/toy_backend.hpp"

// The toy with one fault, of those that backends have.

namespace prefer::test {

enum class fault {
  none,
  present_by_default,
  numbers_backwards,
  room_not_cleared,
  sums_swapped,
  last_record_left_out,
  sides_swapped,
  weight_ignored,
  score_ignored,
  sums_drift,
  second_result_not_written,
  list_weight_ignored,
  first_list_twice,
  descending,
  equal_rows_backwards,
  nan_first,
  gathers_nothing,
  rows_swapped,
  inverse_is_itself,
  scatter_gathers,
  throws,
};

/// The fault that all of them have now; a column that was never given has no other way to know it.
inline fault fault_now = fault::none;

class faulty;

/// The toy's column, which belongs to the faulty backend.
class faulty_column : public toy_column {
 public:
  faulty_column() = default;
  explicit faulty_column(toy_column const& of) : toy_column(of) {}

  [[nodiscard]] bool present() const {
    return fault_now == fault::present_by_default || toy_column::present();
  }

  friend faulty backend_of(faulty_column const& column);
};

class faulty {
 public:
  using column = faulty_column;
  using result = faulty_column;
  using rows = toy_rows;
  using number = toy_number;

  struct owned {
    toy_column made;
    [[nodiscard]] column view() const { return column(made); }
    [[nodiscard]] faulty_column result() const { return faulty_column(made); }
  };

  explicit faulty(toy_crossings& crossings) : crossings_(&crossings), toy_(crossings) {}

  template <class Columns, class Formula, std::size_t N>
  [[nodiscard]] std::array<number, N> for_each_record(Columns const& batch, Formula const& formula,
                                                      std::array<result, N> const& results) const {
    std::array<toy_column, N> to;
    for (std::size_t n = 0; n < N; ++n) {
      bool const lost = fault_now == fault::second_result_not_written && n == 1;
      if (!lost) to[n] = results[n];
    }
    auto const sums = toy_.for_each_record(of_the_toy(batch), formula, to);
    if (fault_now == fault::sums_drift) {
      // What is added up in whatever order threads come: another rounding each time.
      crossings_->columns += 1;
      auto out = sums;
      for (std::size_t n = 0; n < N; ++n) {
        double const factor = 1.0 / (1.0 + 0x1p-52 * static_cast<double>(crossings_->columns % 7));
        out[n] = out[n] / factor;
      }
      return out;
    }
    return sums;
  }
  template <class Formula>
  [[nodiscard]] number for_each_list(basic_list_columns<column> const& batch,
                                     Formula const& formula, result const& of_lists,
                                     result const& of_completions) const {
    auto plain = of_the_toy(batch);
    std::vector<std::size_t> offset(plain.offset.begin(), plain.offset.end());
    if (fault_now == fault::list_weight_ignored) plain.weight = {};
    if (fault_now == fault::first_list_twice) offset[0] = 1;
    plain.offset = offset;
    return toy_.for_each_list(plain, formula, of_lists, of_completions);
  }
  template <std::size_t N>
  [[nodiscard]] std::array<double, N> read(std::array<number, N> const& sums) const {
    auto out = toy_.read(sums);
    if (fault_now == fault::sums_swapped && N > 1) std::swap(out[0], out[N - 1]);
    return out;
  }
  template <class Columns, class Formula>
  [[nodiscard]] std::vector<double> numbers(Columns const& batch, Formula const& formula) const {
    auto out = toy_.numbers(of_the_toy(batch), formula);
    if (fault_now == fault::numbers_backwards) out = {out.rbegin(), out.rend()};
    return out;
  }
  template <class Columns, class Formula>
  [[nodiscard]] rows ascending(Columns const& batch, Formula const& formula) const {
    auto const plain = of_the_toy(batch);
    rows const right = toy_.ascending(plain, formula);
    std::vector<double> by = toy_.numbers(plain, formula);
    if (fault_now == fault::descending) {
      for (double& x : by) x = -x;
    } else if (fault_now == fault::nan_first) {
      for (double& x : by) {
        if (std::isnan(x)) x = -1e308;
      }
    } else if (fault_now == fault::equal_rows_backwards) {
      // In ascending order of the row first, from behind, and then of the number.
      std::vector<double> behind(by.size());
      for (std::size_t i = 0; i < by.size(); ++i) behind[i] = -static_cast<double>(i);
      rows const backwards = order_of(behind);
      auto const turned = toy_.gather(toy_column(by, *crossings_), backwards);
      return toy_.gather(backwards, order_of(turned.made.look()));
    } else {
      return right;
    }
    return order_of(by);
  }
  [[nodiscard]] rows inverse(rows const& of) const {
    if (fault_now == fault::throws) throw std::runtime_error("unimplemented");
    return fault_now == fault::inverse_is_itself ? of : toy_.inverse(of);
  }
  [[nodiscard]] rows gather(rows const& from, rows const& which) const {
    return fault_now == fault::rows_swapped ? toy_.gather(which, from) : toy_.gather(from, which);
  }
  [[nodiscard]] owned gather(column const& from, rows const& which) const {
    if (fault_now == fault::gathers_nothing) return {toy_column(from.look(), *crossings_)};
    return {toy_.gather(from, which).made};
  }
  [[nodiscard]] owned scatter(column const& from, rows const& to) const {
    return {fault_now == fault::scatter_gathers ? toy_.gather(from, to).made
                                                : toy_.scatter(from, to).made};
  }
  [[nodiscard]] owned room(std::size_t n) const {
    return {toy_column(std::vector<double>(n, fault_now == fault::room_not_cleared ? 1.0 : 0.0),
                       *crossings_)};
  }

 private:
  [[nodiscard]] rows order_of(std::vector<double> const& by) const {
    return toy_.ascending(basic_unpaired_columns<toy_column>{.policy = toy_column(by, *crossings_)},
                          [](auto const& one) { return one.log_prob; });
  }
  /// The batch as the toy's own; here records go wrong.
  template <template <class> class Kind>
  [[nodiscard]] Kind<toy_column> of_the_toy(Kind<column> const& batch) const {
    std::vector<toy_column> columns;
    detail::for_each_column(batch, [&](auto is, per, column_side, column const& one) {
      bool const lost = (fault_now == fault::score_ignored && is.name == column_name::score) ||
                        (fault_now == fault::weight_ignored && is.name == column_name::weight);
      columns.push_back(lost ? toy_column() : static_cast<toy_column const&>(one));
    });
    Kind<toy_column> out{};
    std::size_t at = 0;
    detail::for_each_column(out, [&](auto, per, column_side side, toy_column& to) {
      std::size_t const own = at++;
      bool const swapped = fault_now == fault::sides_swapped && side != column_side::only;
      to = columns[swapped ? (side == column_side::chosen ? own + 1 : own - 1) : own];
    });
    if constexpr (requires { out.offset; }) {
      out.offset = batch.offset;
    } else if (fault_now == fault::last_record_left_out && out.size() > 1) {
      detail::for_each_column(out, [&](auto, per each, column_side, toy_column& one) {
        if (each == per::kl_example || !one.present()) return;
        one = toy_column({one.look().begin(), one.look().end() - 1}, *crossings_);
      });
    }
    return out;
  }
  toy_crossings* crossings_;
  toy toy_;
};

[[nodiscard]] inline faulty backend_of(faulty_column const& column) {
  return faulty(*column.crossings());
}

}  // namespace prefer::test
