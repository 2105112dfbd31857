// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <prefer/batch/blocks.hpp>
#include <prefer/batch/check_columns.hpp>
#include <prefer/batch/each_column.hpp>
#include <prefer/batch/gather.hpp>
#include <prefer/batch/load_record.hpp>
#include <prefer/batch/with_columns.hpp>
#include <prefer/diagnosis/batch.hpp>
#include <prefer/objective/matched.hpp>
#include <prefer/parallel/thread_processes.hpp>
#include <prefer/scalar/lane.hpp>

#include "support/judged_columns.hpp"

// One description is enough: everything that is done to columns is done to columns that the library does not know.

namespace {

using prefer::column;
using prefer::column_name;
using prefer::column_set;
using prefer::column_side;
using prefer::per;
using prefer::test::harm_name;
using prefer::test::judged_columns;
using prefer::test::judged_record;
using prefer::test::urgency_name;
using numbers = std::vector<double>;

struct three_pairs {
  numbers chosen = {-1.0, -2.0, -3.0}, rejected = {-4.0, -5.0, -6.0};
  numbers less = {0.25, 0.5, 0.75}, more = {1.0, 2.0, 3.0};
  std::vector<float> urgency = {10.0f, 20.0f, 30.0f};

  [[nodiscard]] judged_columns columns() const {
    return {.policy = {chosen, rejected}, .harm = {less, more}, .urgency = urgency};
  }
};

}  // namespace

TEST_CASE("description: a new column is available, promised and spelled", "[batch][description]") {
  three_pairs const of;
  judged_columns const batch = of.columns();
  column_set const expected = column_name::policy | harm_name | column_set(urgency_name);
  CHECK(batch.available() == expected);
  CHECK(prefer::to_string_of<judged_columns>(expected) == "policy, harm, urgency");
  using promise = prefer::with_columns<column_name::policy | harm_name, judged_columns>;
  CHECK(promise(batch).columns().size() == 3);
  CHECK_THROWS_WITH(promise(judged_columns{.policy = batch.policy}),
                    "with_columns: promised policy, harm; missing: harm");
}

TEST_CASE("description: a new column's sides and size are checked", "[batch][description]") {
  three_pairs const of;
  judged_columns batch = of.columns();
  CHECK_NOTHROW(prefer::detail::check_sides(batch, "test"));
  CHECK_NOTHROW(prefer::detail::check_sizes(batch, "test"));
  numbers const two = {1.0, 2.0};
  batch.harm.rejected = two;
  CHECK_THROWS_WITH(prefer::detail::check_sizes(batch, "test"),
                    "test: harm.rejected has 2 elements, expected 3");
  batch.harm.rejected = {};
  CHECK_THROWS_WITH(prefer::detail::check_sides(batch, "test"),
                    "test: harm is given for chosen completions only; expected both or neither");
}

TEST_CASE("description: a new column is gathered over processes", "[batch][description]") {
  three_pairs const of;
  std::vector<numbers> harms(2), urgencies(2);
  prefer::thread_processes::run(2, [&](auto const& process) {
    auto const all = prefer::gather_rows(of.columns(), process);
    for (std::size_t i = 0; i < 6; ++i) {
      harms[process.rank()].push_back(all.columns().harm.rejected[i]);
      urgencies[process.rank()].push_back(all.columns().urgency[i]);
    }
  });
  CHECK(harms[0] == numbers{1.0, 2.0, 3.0, 1.0, 2.0, 3.0});
  CHECK(harms[1] == harms[0]);
  CHECK(urgencies[1] == numbers{10.0, 20.0, 30.0, 10.0, 20.0, 30.0});
}

TEST_CASE("description: a new column follows its completion where rows are matched",
          "[batch][description]") {
  three_pairs const of;
  prefer::pair_order order;
  order.rejected = {2, 0, 1};
  prefer::detail::matched_rows<judged_columns> const matched(of.columns(), order);
  judged_columns const& together = matched.columns();
  CHECK(together.harm.chosen[0] == 0.25);   // stays
  CHECK(together.harm.rejected[0] == 3.0);  // of row 2, as the rejected completion is
  CHECK(together.policy.rejected[0] == -6.0);
  CHECK(together.urgency[0] == 10.0);  // of the pair, which is that of chosen
}

TEST_CASE("description: a new column is diagnosed by its rule", "[batch][description]") {
  three_pairs of;
  of.urgency[1] = 0.0f;
  auto const found = prefer::diagnose(of.columns());
  REQUIRE(found.size() == 1);
  CHECK(found[0].column == "urgency");
  CHECK(found[0].row == 1);
}

TEST_CASE("description: a new column reaches the record of a row, and records on lanes",
          "[batch][description]") {
  three_pairs const of;
  judged_columns const batch = of.columns();
  judged_record<double> row;
  prefer::detail::load_row<column_side::chosen>(row.chosen, batch, 1, per::completion);
  prefer::detail::load_row<column_side::rejected>(row.rejected, batch, 1, per::completion);
  prefer::detail::load_row(row, batch, 1, per::example);
  CHECK(row.chosen.harm_found == 0.5);
  CHECK(row.rejected.harm_found == 2.0);
  CHECK(row.rejected.log_prob == -5.0);
  CHECK(row.rejected.reference_log_prob == 0.0);  // absent: its default
  CHECK(row.urgency_found.value_or(1.0) == 20.0);

  using lane = prefer::lane<double>;
  constexpr std::size_t inputs = prefer::detail::inputs_of<judged_columns>;
  constexpr column_set all{~0u};
  prefer::detail::input_columns<judged_columns> const in(batch, all);
  prefer::detail::column_block<double, inputs> block;
  block.gather(in.at, 0, 3, lane::width);
  judged_record<lane> lanes;
  prefer::detail::load_members<judged_columns, lane, column_set(harm_name), all,
                               column_side::rejected>(lanes.rejected, block.at, 0);
  prefer::detail::load_members<judged_columns, lane, column_set{}, all>(lanes, block.at, 0);
  double stored[lane::width];
  lanes.rejected.harm_found.store(stored);
  CHECK(stored[0] == 1.0);
  lanes.urgency_found.value.store(stored);
  CHECK(stored[0] == 10.0);
  CHECK(lanes.urgency_found.present);
}
