// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <type_traits>

#include <prefer/batch/blocks.hpp>
#include <prefer/batch/columns.hpp>
#include <prefer/batch/each_column.hpp>
#include <prefer/batch/load_record.hpp>
#include <prefer/batch/probe_record.hpp>
#include <prefer/parallel/executor.hpp>
#include <prefer/scalar/lane.hpp>

// Formulas over the records of a batch that lies in memory, on lanes: their sums, and their numbers one by one. A formula
// takes a record of any Scalar, and the example's weight if it has a second argument, and gives an array of numbers.

namespace prefer::inline v0_1::detail {

/// The record that a formula over a kind of columns is given.
template <class Columns, class S>
struct record_over;
template <class C, class S>
struct record_over<basic_pair_columns<C>, S> {
  using type = pair_record<S>;
};
template <class C, class S>
struct record_over<basic_unpaired_columns<C>, S> {
  using type = unpaired_record<S>;
};
template <class Columns, class S>
using record_over_t = typename record_over<Columns, S>::type;

template <class Columns>
[[nodiscard]] constexpr record_over_t<Columns, probe> probe_record_of() {
  if constexpr (requires(record_over_t<Columns, probe> const& r) { r.rejected; }) {
    return probe_pair();
  } else {
    return probe_unpaired();
  }
}

/// What a formula gives for a record, as an array, whether it asks for the weight and gives one number or several.
template <class F, class Record, class S>
[[nodiscard]] constexpr auto numbers_of_record(F const& formula, Record const& record,
                                               S const& weight) {
  auto const out = [&] {
    if constexpr (requires { formula(record, weight); }) {
      return formula(record, weight);
    } else {
      return formula(record);
    }
  }();
  if constexpr (requires { std::tuple_size<std::remove_const_t<decltype(out)>>::value; }) {
    return out;
  } else {
    return std::array<S, 1>{out};
  }
}

template <class Columns, class F, class S = probe>
using numbers_over = decltype(numbers_of_record(
    std::declval<F const&>(), std::declval<record_over_t<Columns, S> const&>(), S(1.0)));

/// How many numbers a formula gives for a record of these columns.
template <class Columns, class F>
inline constexpr std::size_t numbers_per_record = std::tuple_size_v<numbers_over<Columns, F>>;

/// The columns that a formula reads, the weight included: what it says, or else what a probe finds.
template <class Columns, class F>
[[nodiscard]] constexpr column_set read_by(F const& formula) {
  column_set read;
  for (probe const& each :
       numbers_of_record(formula, probe_record_of<Columns>(), probe::column(column_name::weight))) {
    read = read | each.reads();
  }
  return read;
}

/// float is enough where every log-probability that is there is stored as float, or in 16 bits.
template <class Columns>
[[nodiscard]] bool all_float(Columns const& batch) {
  bool out = true;
  for_each_column(batch, [&](auto is, per each, column_side, column const& one) {
    bool const counts = (is.name == column_name::policy || is.name == column_name::reference) &&
                        each == per::completion;
    if (counts && one.present() && !within_float(one.stored_as())) out = false;
  });
  return out;
}

/// The record of rows i and after of a block. Columns that are not there leave defaults.
template <class Columns, class Lane, class Pointers>
[[nodiscard]] inline record_over_t<Columns, Lane> load_record(Pointers const& in, std::size_t i) {
  constexpr column_set all{~0u};
  record_over_t<Columns, Lane> record{};
  if constexpr (requires { record.rejected; }) {
    load_members<Columns, Lane, column_set{}, all, column_side::chosen>(record.chosen, in, i);
    load_members<Columns, Lane, column_set{}, all, column_side::rejected>(record.rejected, in, i);
  }
  load_members<Columns, Lane, column_set{}, all>(record, in, i);
  return record;
}

/// One block: adds what the formula gives to `totals`, and writes it where `out` is not null.
template <class Lane, class Columns, std::size_t N, class F>
[[gnu::noinline, gnu::flatten]] void map_block(
    F const& given, typename Lane::value_type const* const (&given_in)[inputs_of<Columns>],
    typename Lane::value_type* const (&given_out)[N], std::size_t count, double* totals) {
  using T = typename Lane::value_type;
  F const formula = given;
  kernel_pointers<T const*, inputs_of<Columns>> const in(given_in);
  kernel_pointers<T*, N> const out(given_out);
  constexpr std::size_t weight_at = input_of<Columns, column_name::weight>;
  lane_sum<Lane> sums[N];
  for (std::size_t i = 0; i < count; i += Lane::width) {
    Lane const weight = in[weight_at] != nullptr ? Lane::load(in[weight_at] + i) : Lane(1.0);
    auto const numbers = numbers_of_record(formula, load_record<Columns, Lane>(in, i), weight);
    for (std::size_t n = 0; n < N; ++n) {
      Lane const number = numbers[n];
      if (out[n] != nullptr) number.store(out[n] + i);
      sums[n].add(without_padding(number, count - i));
    }
  }
  for (std::size_t n = 0; n < N; ++n) {
    sums[n].flush();
    totals[n] += sums[n].total();
  }
}

/// The sums over a batch of the N numbers that a formula gives for each record, which are written to `targets`.
///
/// In the lane's precision over a block, in double across blocks; the order depends on the size of the batch alone.
template <class Lane, std::size_t N, class Columns, class F>
[[nodiscard]] std::array<double, N> map_records(Columns const& batch, F const& formula,
                                                mutable_column const* const (&targets)[N],
                                                executor threads) {
  using T = typename Lane::value_type;
  std::size_t const n = batch.size();
  input_columns<Columns> const inputs(batch, read_by<Columns>(formula));
  std::size_t size = chunk_size;
  while ((n + size - 1) / size > most_chunks) size *= 2;
  std::size_t const chunks = (n + size - 1) / size;
  std::array<double, N> partial[most_chunks];
  auto const run = [&](std::size_t c) {
    column_block<T, inputs_of<Columns>> in;
    result_block<T, N> out;
    partial[c] = {};
    std::size_t const end = at_most((c + 1) * size, n);
    for (std::size_t begin = c * size; begin < end; begin += block_size) {
      std::size_t const count = at_most(block_size, end - begin);
      in.gather(inputs.at, begin, count, Lane::width);
      out.open(targets, begin, count, Lane::width);
      map_block<Lane, Columns, N>(formula, in.at, out.at, count, partial[c].data());
      out.close(targets, begin, count);
    }
  };
  if (n < parallel_from) {
    for (std::size_t c = 0; c < chunks; ++c) run(c);
  } else {
    threads.for_each_chunk(chunks, run);
  }
  std::array<double, N> total{};
  for (std::size_t c = 0; c < chunks; ++c) {
    for (std::size_t k = 0; k < N; ++k) total[k] += partial[c][k];
  }
  return total;
}

}  // namespace prefer::inline v0_1::detail
