// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <iterator>
#include <stdexcept>
#include <utility>
#include <vector>

#include <range/v3/range/conversion.hpp>
#include <range/v3/view/drop.hpp>
#include <range/v3/view/filter.hpp>
#include <range/v3/view/take.hpp>
#include <range/v3/view/transform.hpp>

#include <prefer/data/rows.hpp>

using prefer::data::RowReader;
using prefer::data::rows;

namespace {

// Counts 1, 2, ... to `last`, then throws or ends.
struct counter {
  using row = int;
  int last = 3;
  bool fails = false;
  int* calls = nullptr;
  int at = 0;
  bool next(int& out) {
    if (calls != nullptr) ++*calls;
    if (at == last && fails) throw std::runtime_error("behind the last");
    if (at == last) return false;
    out = ++at;
    return true;
  }
};

enum class lacks { nothing, row, next };
template <lacks L>
struct row_of {
  using row = int;
};
template <>
struct row_of<lacks::row> {};
template <lacks L = lacks::nothing>
struct reader_archetype : row_of<L> {
  bool next(int&)
    requires(L != lacks::next);
};
static_assert(RowReader<reader_archetype<>>);
static_assert(!RowReader<reader_archetype<lacks::row>>);
static_assert(!RowReader<reader_archetype<lacks::next>>);

static_assert(std::input_iterator<rows<counter>::iterator>);
static_assert(std::sentinel_for<std::default_sentinel_t, rows<counter>::iterator>);
static_assert(::ranges::input_range<rows<counter>>);
static_assert(::ranges::view_<rows<counter>>);
static_assert(!::ranges::forward_range<rows<counter>>);  // one pass

}  // namespace

TEST_CASE("rows: a range-for sees every row once", "[data][rows]") {
  std::vector<int> seen;
  for (int const row : rows(counter{})) seen.push_back(row);
  REQUIRE(seen == std::vector{1, 2, 3});
}

TEST_CASE("rows: range-v3 views compose", "[data][rows]") {
  auto const odd = [](int i) { return i % 2 == 1; };
  auto const square = [](int i) { return i * i; };
  auto const seen = rows(counter{.last = 9}) | ::ranges::views::drop(1) | ::ranges::views::take(5) |
                    ::ranges::views::filter(odd) | ::ranges::views::transform(square) |
                    ::ranges::to<std::vector>();
  REQUIRE(seen == std::vector{9, 25});  // of 2 to 6, the odd ones
}

TEST_CASE("rows: nothing is read before it is looked at", "[data][rows]") {
  int calls = 0;
  auto const range = rows(counter{.calls = &calls});
  auto at = range.begin();
  REQUIRE(calls == 0);
  REQUIRE(*at == 1);
  REQUIRE(*at == 1);
  REQUIRE(calls == 1);
  ++at;
  REQUIRE(calls == 1);
  REQUIRE(*at == 2);
  REQUIRE(calls == 2);
}

TEST_CASE("rows: take(n) does not touch what is behind", "[data][rows]") {
  std::vector<int> seen;
  for (int const row : rows(counter{.last = 2, .fails = true}) | ::ranges::views::take(2))
    seen.push_back(row);
  REQUIRE(seen == std::vector{1, 2});
}

TEST_CASE("rows: a step over an unread row reads it", "[data][rows]") {
  auto const range = rows(counter{});
  auto at = range.begin();
  ++at;
  at++;
  REQUIRE(*at == 3);
}

TEST_CASE("rows: begin gives the row that is next", "[data][rows]") {
  auto const range = rows(counter{});
  REQUIRE(*range.begin() == 1);
  REQUIRE(*range.begin() == 1);
  ++range.begin();
  REQUIRE(*range.begin() == 2);
}

TEST_CASE("rows: an iterator outlives a temporary range", "[data][rows]") {
  auto at = rows(counter{}).begin();
  ++at;
  REQUIRE(*at == 2);
}

TEST_CASE("rows: after an error the range is at its end", "[data][rows]") {
  auto const range = rows(counter{.last = 1, .fails = true});
  auto at = range.begin();
  ++at;
  REQUIRE_THROWS_AS(*at, std::runtime_error);
  REQUIRE(at == range.end());
  REQUIRE_THROWS_AS(*at, prefer::precondition_error);
}

TEST_CASE("rows: a default-constructed range is empty", "[data][rows]") {
  rows<counter> const none;
  REQUIRE(none.begin() == none.end());
}
