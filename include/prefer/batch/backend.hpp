// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <prefer/batch/column.hpp>
#include <prefer/batch/columns.hpp>
#include <prefer/batch/list_block.hpp>
#include <prefer/batch/pair_order.hpp>
#include <prefer/batch/reduce.hpp>
#include <prefer/on_demand.hpp>
#include <prefer/parallel/executor.hpp>
#include <prefer/scalar/lane.hpp>
#include <prefer/scalar/lane_math.hpp>

namespace prefer::inline v0_1 {

/// Numbers in another order, as float where they were at most that wide, else as double.
template <class = on_demand>
class basic_gathered_column {
 public:
  basic_gathered_column() = default;
  basic_gathered_column(prefer::column const& from, std::span<std::uint32_t const> rows)
      : in_float_(detail::within_float(from.stored_as())) {
    if (float const* const numbers = from.direct<float>(0)) {
      floats_.resize(rows.size());
      for (std::size_t i = 0; i < rows.size(); ++i) floats_[i] = numbers[rows[i]];
    } else if (in_float_) {
      floats_.resize(rows.size());
      for (std::size_t i = 0; i < rows.size(); ++i) floats_[i] = static_cast<float>(from[rows[i]]);
    } else {
      doubles_.resize(rows.size());
      for (std::size_t i = 0; i < rows.size(); ++i) doubles_[i] = from[rows[i]];
    }
  }
  /// A view, valid as long as this lives.
  [[nodiscard]] prefer::column view() const {
    return in_float_ ? prefer::column(floats_) : prefer::column(doubles_);
  }

 private:
  bool in_float_ = false;
  std::vector<float> floats_;
  std::vector<double> doubles_;
};
using gathered_column = basic_gathered_column<>;

/// The memory and the threads of this process: columns are views, formulas run on lanes.
///
/// Sums are of floats over 1,024 records where all log-probabilities are float, of doubles across; their order depends on
/// the size of the batch alone.
struct host {
  using column = prefer::column;
  using result = mutable_column;
  using rows = std::vector<std::uint32_t>;
  using number = double;

  executor threads = {};

  template <class Columns, class F, std::size_t N>
  [[nodiscard]] std::array<double, N> for_each_record(
      Columns const& batch, F const& formula, std::array<mutable_column, N> const& results) const {
    mutable_column const* targets[N];
    for (std::size_t n = 0; n < N; ++n) targets[n] = &results[n];
    return detail::all_float(batch)
               ? detail::map_records<lane<float>, N>(batch, formula, targets, threads)
               : detail::map_records<lane<double>, N>(batch, formula, targets, threads);
  }
  template <class F>
  [[nodiscard]] double for_each_list(list_columns const& batch, F const& formula,
                                     mutable_column const& of_lists,
                                     mutable_column const& of_completions) const {
    return detail::map_lists<lane<double>>(formula, batch, formula.reads(), of_lists,
                                           of_completions, threads);
  }
  template <std::size_t N>
  [[nodiscard]] static std::array<double, N> read(std::array<double, N> const& numbers) {
    return numbers;
  }
  template <class Columns, class F>
  [[nodiscard]] std::vector<double> numbers(Columns const& batch, F const& formula) const {
    std::vector<double> out(batch.size());
    mutable_column const target = out;
    mutable_column const* const targets[1] = {&target};
    (void)detail::map_records<lane<double>, 1>(batch, formula, targets, threads);
    return out;
  }
  template <class Columns, class F>
  [[nodiscard]] rows ascending(Columns const& batch, F const& formula) const {
    std::vector<double> const by = numbers(batch, formula);
    return ascending_order(by.size(), [&](std::size_t i) { return by[i]; });
  }
  template <class = on_demand>
  [[nodiscard]] static rows inverse(rows const& of) {
    rows out(of.size());
    for (std::size_t k = 0; k < of.size(); ++k) out[of[k]] = static_cast<std::uint32_t>(k);
    return out;
  }
  template <class = on_demand>
  [[nodiscard]] static rows gather(rows const& from, rows const& which) {
    rows out(which.size());
    for (std::size_t i = 0; i < which.size(); ++i) out[i] = from[which[i]];
    return out;
  }
  template <class = on_demand>
  [[nodiscard]] static gathered_column gather(column const& from, rows const& which) {
    return {from, view_of(which)};
  }
  /// Room for results, zero at first.
  template <class = on_demand>
  struct basic_numbers_in_room {
    std::vector<double> made;
    [[nodiscard]] column view() const { return made; }
    [[nodiscard]] mutable_column result() { return made; }
  };
  using numbers_in_room = basic_numbers_in_room<>;
  template <class = on_demand>
  [[nodiscard]] static numbers_in_room room(std::size_t n) {
    return {std::vector<double>(n)};
  }
  template <class = on_demand>
  [[nodiscard]] static numbers_in_room scatter(column const& from, rows const& to) {
    numbers_in_room out = room(to.size());
    for (std::size_t i = 0; i < to.size(); ++i) out.made[to[i]] += from[i];
    return out;
  }
};

/// The backend of columns in memory. A backend's own type of column has such a function beside it.
[[nodiscard]] inline host backend_of(column const& /*any*/) { return {}; }

namespace detail {

template <class Columns>
[[nodiscard]] auto backend_of_batch(Columns const& batch) {
  if constexpr (requires { batch.policy.chosen; }) {
    return backend_of(batch.policy.chosen);
  } else {
    return backend_of(batch.policy);
  }
}

/// What the concept tries a backend with.
struct two_numbers {
  constexpr auto operator()(auto const& record) const {
    return std::array{record.beta_or(1.0), record.beta_or(2.0)};
  }
};
struct one_number {
  constexpr auto operator()(auto const& record) const { return record.beta_or(1.0); }
};
struct list_number {
  static constexpr std::size_t room = 0;
  [[nodiscard]] static constexpr column_set reads() { return {}; }
  constexpr auto operator()(auto const& list, auto const&, auto const&, auto const&) const {
    return list.beta_or(1.0);
  }
};

template <class B, class Columns>
concept maps_records_of =
    requires(B const& on, Columns const& batch, std::array<typename B::result, 2> const& results) {
      {
        on.for_each_record(batch, two_numbers{}, results)
      } -> std::same_as<std::array<typename B::number, 2>>;
      { on.numbers(batch, one_number{}) } -> std::same_as<std::vector<double>>;
      { on.ascending(batch, one_number{}) } -> std::same_as<typename B::rows>;
    };

template <class B>
concept maps_lists = requires(B const& on, basic_list_columns<typename B::column> const& batch,
                              typename B::result const& results) {
  { on.for_each_list(batch, list_number{}, results, results) } -> std::same_as<typename B::number>;
};

template <class B>
concept has_room = requires(B const& on, std::size_t n) {
  { on.room(n).result() } -> std::same_as<typename B::result>;
  { on.room(n).view() } -> std::same_as<typename B::column>;
};

}  // namespace detail

/// Where columns live, and what is computed on them there. The loss pass, batch statistics and metrics are made of this.
///
/// Asked for   `column`, numbers that may be absent (`present()`, `size()`, and `offsets`, where lists begin and end);
///             `result`, where numbers are written, which may be absent; `rows`, numbers of rows; `number`, a sum,
///             wherever it is kept; and `backend_of(column)`, found by argument-dependent lookup
///   for_each_record(batch, formula, results)
///                     writes the N numbers that `formula(record)` or `formula(record, weight)` gives for each record
///                     where `results` says, and returns their N sums
///   for_each_list(batch, formula, of_lists, of_completions)
///                     the same of lists: `formula(list, weight, out, room)` returns the list's number and writes one for
///                     each completion to the span `out`; `room` has F::room numbers for each. Returns the sum over lists
///   read(numbers)     the sums as doubles: the only numbers that the library waits for
///   numbers(batch, formula)     one double per record, for what must meet the numbers of other processes
///   ascending(batch, formula)   the rows in ascending order of a number
///   inverse(rows), gather(rows, rows), gather(column, rows), scatter(column, rows)
///   room(n)           room for n results, with `result()` to write them and `view()` to read them as a column
/// Semantics   the same call gives the same bits: sums have a fixed order. `ascending` is stable, NaN come last.
///             gather(a, b)[i] is a[b[i]], scatter(a, b)[k] the sum of a[i] with b[i] = k; what they return for a column
///             has a `view()`, valid as long as it lives
template <class B>
concept Backend = detail::maps_records_of<B, basic_pair_columns<typename B::column>> &&
                  detail::maps_records_of<B, basic_unpaired_columns<typename B::column>> &&
                  detail::maps_lists<B> && detail::has_room<B> &&
                  requires(B const& on, typename B::column const& c, typename B::rows const& rows,
                           std::array<typename B::number, 2> const& sums) {
                    { on.read(sums) } -> std::same_as<std::array<double, 2>>;
                    { on.inverse(rows) } -> std::same_as<typename B::rows>;
                    { on.gather(rows, rows) } -> std::same_as<typename B::rows>;
                    { on.gather(c, rows).view() } -> std::same_as<typename B::column>;
                    { on.scatter(c, rows).view() } -> std::same_as<typename B::column>;
                    { backend_of(c) } -> std::same_as<B>;
                  };

/// The backend on which columns of type C live.
template <class C>
using backend_of_t = decltype(backend_of(std::declval<C const&>()));

/// A backend's own type of column, not what converts to one.
template <class C>
concept BackendColumn = std::same_as<typename backend_of_t<C>::column, C>;

namespace detail {

/// The column that numbers are: a backend's own as it is, all else as a view of memory.
template <class Numbers>
using column_of_numbers =
    std::conditional_t<requires { requires BackendColumn<Numbers>; }, Numbers, column>;

}  // namespace detail

}  // namespace prefer::inline v0_1
