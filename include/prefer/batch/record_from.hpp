// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <prefer/batch/columns.hpp>
#include <prefer/batch/each_column.hpp>
#include <prefer/batch/load_record.hpp>
#include <prefer/batch/reduce.hpp>

// For backends: from columns that only they can read to the record that a formula is given, and to what it says of it.
// `number(column, row)` is theirs: what a column has there. It is asked of columns that are present only.

namespace prefer::inline v0_1 {

namespace detail {

/// Gives a record's members what their columns have in one row; members of absent columns keep their defaults.
template <column_side Side, class S, class Record, class Columns, class Number>
constexpr void fill_members(Record& record, Columns const& batch, per what, std::size_t row,
                            Number const& number) {
  for_each_column(batch, [&](auto is, per each, column_side side, auto const& one) {
    if (each != what || side != Side || !one.present()) return;
    Record::describe(record, [&](auto of, auto& member) {
      if constexpr (of.name == is.name) set_member<is.rule>(member, primal_t<S>(number(one, row)));
    });
  });
}

/// Completion i of a list that begins there.
template <class S, class Columns, class Number>
struct completion_from {
  Columns const* batch;
  std::size_t begin;
  Number number;

  constexpr completion_record<S> operator()(std::size_t i) const {
    completion_record<S> record{};
    fill_members<column_side::only, S>(record, *batch, per::completion, begin + i, number);
    return record;
  }
};

}  // namespace detail

/// The record of one example of a batch of pairs or labelled completions, of scalars S.
template <class S, class Columns, class Number>
[[nodiscard]] constexpr detail::record_over_t<Columns, S> record_from(Columns const& batch,
                                                                      std::size_t row,
                                                                      Number const& number) {
  detail::record_over_t<Columns, S> record{};
  if constexpr (requires { record.rejected; }) {
    using enum column_side;
    detail::fill_members<chosen, S>(record.chosen, batch, per::completion, row, number);
    detail::fill_members<rejected, S>(record.rejected, batch, per::completion, row, number);
  } else {
    detail::fill_members<column_side::only, S>(record, batch, per::completion, row, number);
  }
  detail::fill_members<column_side::only, S>(record, batch, per::example, row, number);
  return record;
}

/// The record of list g; a view of the batch, which must outlive it.
template <class S, class C, class Number>
[[nodiscard]] constexpr auto list_from(basic_list_columns<C> const& batch, std::size_t g,
                                       Number const& number) {
  using at = detail::completion_from<S, basic_list_columns<C>, Number>;
  std::size_t const begin = batch.offset[g];
  list_record<S, at> list(batch.offset[g + 1] - begin, at{&batch, begin, number});
  detail::fill_members<column_side::only, S>(list, batch, per::example, g, number);
  return list;
}

/// The weight of an example or a list, 1 where the batch has none.
template <class S, class Columns, class Number>
[[nodiscard]] constexpr S weight_from(Columns const& batch, std::size_t row, Number const& number) {
  return batch.weight.present() ? S(number(batch.weight, row)) : S(1.0);
}

/// The numbers that a formula gives for a record, as an array, whether it asks for the weight and gives one or several.
template <class F, class Record, class S>
[[nodiscard]] constexpr auto apply_formula(F const& formula, Record const& record,
                                           S const& weight) {
  return detail::numbers_of_record(formula, record, weight);
}

}  // namespace prefer::inline v0_1
