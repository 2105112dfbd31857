// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <type_traits>

#include <prefer/batch/columns.hpp>
#include <prefer/batch/each_column.hpp>
#include <prefer/scalar/probe.hpp>

// From columns to records: lanes of them from a block, or one from a row.

namespace prefer::inline v0_1 {

namespace detail {

/// Pointers to the columns that records are loaded from: those that are there and that are read; null for the others.
template <class Columns>
struct input_columns {
  input_columns(Columns const& batch, column_set read) {
    std::size_t next = 0;
    for_each_column(batch, [&](auto is, per each, column_side, column const& one) {
      if (each == per::kl_example) return;
      at[next++] = one.present() && read.contains(is.name) ? &one : nullptr;
    });
  }
  column const* at[inputs_of<Columns>];
};

/// Gives a member of a record its number, as what its column is.
template <column_rule Rule, class Member, class P>
constexpr void set_member(Member& member, P const& number) {
  if constexpr (Rule == column_rule::truth) {
    member = number > P(0.0);
  } else if constexpr (std::is_same_v<Member, optional_value<P>>) {
    member = {.present = true, .value = number};
  } else {
    member = number;
  }
}

/// Loads lanes of rows i and after into a record's members: the columns in `Needed` are there, those in `Possible` may
/// be absent. Other members, and those of absent columns, keep their defaults. `in` are the columns of a block.
template <class Columns, class Lane, column_set Needed, column_set Possible,
          column_side Side = column_side::only, class Record, class Pointers>
constexpr void load_members(Record& record, Pointers const& in, std::size_t i) {
  Record::describe(record, [&](auto is, auto& member) {
    constexpr column_name name = is.name;
    constexpr std::size_t at = input_of<Columns, name, Side>;
    if constexpr (at == inputs_of<Columns>) {
      return;  // this kind has no such column
    } else if constexpr (Needed.contains(name)) {
      set_member<is.rule>(member, Lane::load(in[at] + i));
    } else if constexpr (Possible.contains(name)) {
      if (in[at] != nullptr) set_member<is.rule>(member, Lane::load(in[at] + i));
    }
  });
}

/// Gives a record's members what the columns say of one row; members of absent columns keep their defaults.
template <column_side Side = column_side::only, class Record, class Columns>
void load_row(Record& record, Columns const& batch, std::size_t row, per what) {
  for_each_column(batch, [&](auto is, per each, column_side side, auto const& column) {
    if (each != what || side != Side || !column.present()) return;
    Record::describe(record, [&](auto of, auto& member) {
      if constexpr (of.name == is.name) set_member<is.rule>(member, column[row]);
    });
  });
}

/// Completion i of a list that begins there.
template <class Columns>
struct row_at {
  Columns const* batch;
  std::size_t begin;

  completion_record<double> operator()(std::size_t i) const {
    completion_record<double> out;
    load_row(out, *batch, begin + i, per::completion);
    return out;
  }
};

}  // namespace detail

// Templates, so that a unit that inspects no record does not pay for them.

/// What a formula sees of pair i. Element by element, for inspection and tests; evaluate loads lanes.
template <std::same_as<column> C>
[[nodiscard]] pair_record<double> record_at(basic_pair_columns<C> const& batch, std::size_t i) {
  pair_record<double> pair;
  detail::load_row<column_side::chosen>(pair.chosen, batch, i, per::completion);
  detail::load_row<column_side::rejected>(pair.rejected, batch, i, per::completion);
  detail::load_row(pair, batch, i, per::example);
  return pair;
}
/// What a formula sees of labelled completion i.
template <std::same_as<column> C>
[[nodiscard]] unpaired_record<double> record_at(basic_unpaired_columns<C> const& batch,
                                                std::size_t i) {
  unpaired_record<double> example{};
  detail::load_row(example, batch, i, per::completion);
  detail::load_row(example, batch, i, per::example);
  return example;
}
/// What a formula sees of list g; a view of the batch, which must outlive it.
template <std::same_as<column> C>
[[nodiscard]] auto record_at(basic_list_columns<C> const& batch, std::size_t g) {
  std::size_t const begin = batch.offset[g];
  list_record<double, detail::row_at<basic_list_columns<C>>> list(batch.offset[g + 1] - begin,
                                                                  {&batch, begin});
  detail::load_row(list, batch, g, per::example);
  return list;
}

}  // namespace prefer::inline v0_1
