// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cstddef>
#include <string>
#include <vector>

#include <prefer/batch/gather.hpp>
#include <prefer/parallel/thread_processes.hpp>

namespace {

using prefer::column;
using prefer::column_set;
using prefer::pair_columns;
using gathered_pairs = prefer::gathered_rows<pair_columns>;
using processes = prefer::thread_processes;
using numbers = std::vector<double>;

numbers numbers_of(column const& from) {
  numbers out;
  for (std::size_t i = 0; i < from.size(); ++i) out.push_back(from[i]);
  return out;
}

}  // namespace

TEST_CASE("gather_rows: one process has the whole batch", "[batch][gather]") {
  numbers const chosen = {-1.0, -2.0};
  numbers const rejected = {-3.0, -4.0};
  gathered_pairs const all =
      prefer::gather_rows(pair_columns{.policy = {chosen, rejected}}, prefer::single_process{});
  CHECK(all.begin() == 0);
  CHECK(all.count() == 2);
  CHECK(numbers_of(all.columns().policy.chosen) == chosen);
  CHECK(numbers_of(all.columns().policy.rejected) == rejected);
  CHECK(all.columns().available() == column_set(prefer::column_name::policy));
}

TEST_CASE("gather_rows: rows of all processes are in order of rank, and each knows its own",
          "[batch][gather]") {
  std::vector<gathered_pairs> of_rank(3, {{}, {}, 0, 0, 0});
  processes::run(3, [&](auto const& process) {
    // 1, 2 and 0 pairs, stored as float; row r of process p holds 10 p + r, and a constant for each column.
    std::size_t const sizes[] = {1, 2, 0};
    std::size_t const n = sizes[process.rank()];
    std::vector<std::vector<float>> rows;
    auto const next = [&]() -> std::vector<float> const& {
      rows.emplace_back();
      for (std::size_t row = 0; row < n; ++row) {
        rows.back().push_back(100.0f * float(rows.size()) + 10.0f * float(process.rank()) +
                              float(row));
      }
      return rows.back();
    };
    rows.reserve(21);
    pair_columns mine;
    prefer::detail::for_each_column(
        mine, [&](auto, prefer::per, prefer::column_side, column& one) { one = next(); });
    of_rank[process.rank()] = prefer::gather_rows(mine, process);
  });
  std::size_t const begins[] = {0, 1, 3};
  std::size_t const counts[] = {1, 2, 0};
  for (std::size_t rank = 0; rank < 3; ++rank) {
    CHECK(of_rank[rank].begin() == begins[rank]);
    CHECK(of_rank[rank].count() == counts[rank]);
    pair_columns const all = of_rank[rank].columns();
    CHECK(all.available() == (column_set(0x3fffu) - prefer::column_name::label));
    double number = 0.0;
    prefer::detail::for_each_column(
        all, [&](auto is, prefer::per, prefer::column_side, column const& one) {
          INFO(is.spelling);
          number += 100.0;
          CHECK(numbers_of(one) == numbers{number, number + 10.0, number + 11.0});
        });
    CHECK(number == 2100.0);  // 8 columns of completions, twice, and 5 of pairs
  }
}

TEST_CASE("gather_rows: processes with different columns are told so", "[batch][gather]") {
  std::vector<std::string> said(2);
  processes::run(2, [&](auto const& process) {
    numbers const some = {-1.0};
    pair_columns mine{.policy = {some, some}};
    if (process.rank() == 1) mine.weight = some;
    try {
      (void)prefer::gather_rows(mine, process);
    } catch (prefer::precondition_error const& error) {
      said[process.rank()] = error.what();
    }
  });
  CHECK(said[0] == "gather_rows: process 1 has other columns than process 0");
  CHECK(said[1] == said[0]);
}

TEST_CASE("gather_rows: a column of another size is refused by name", "[batch][gather]") {
  numbers const two = {-1.0, -2.0};
  numbers const one = {-1.0};
  CHECK_THROWS_WITH(prefer::gather_rows(pair_columns{.policy = {two, two}, .weight = one},
                                        prefer::single_process{}),
                    Catch::Contains("gather_rows: weight"));
}
