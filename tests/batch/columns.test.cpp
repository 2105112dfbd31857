// SPDX-License-Identifier: MIT
#include <array>
#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <prefer/batch/columns.hpp>
#include <prefer/batch/with_columns.hpp>

namespace {

using Catch::Contains;
using prefer::column;
using prefer::column_name;
using prefer::mutable_column;
using prefer::pair_columns;
using prefer::storage;

/// A foreign container: numbers that are no range.
struct foreign {
  std::vector<double> inside;
};

}  // namespace

template <>
struct prefer::column_traits<foreign> {
  static std::span<double const> numbers(foreign const& f) { return f.inside; }
  static std::span<double> numbers(foreign& f) { return f.inside; }
};

namespace {

TEST_CASE("column: vectors, arrays and spans are columns, in place", "[batch][columns]") {
  std::vector<double> const v = {1.5, -2.0};
  std::array<float, 3> const a = {0.5f, 1.0f, 2.0f};
  double const c[] = {4.0, 5.0};
  std::span<double const> const s(v);

  CHECK(column(v).size() == 2);
  CHECK(column(v)[1] == -2.0);
  CHECK(column(v).stored_as() == storage::float64);
  CHECK(column(a).size() == 3);
  CHECK(column(a)[2] == 2.0);
  CHECK(column(a).stored_as() == storage::float32);
  CHECK(column(c)[1] == 5.0);
  CHECK(column(s.subspan(1))[0] == -2.0);

  double room[2] = {};
  CHECK(column(v).as(0, 2, room) == v.data());
}

TEST_CASE("column: labels may be bool and lengths int", "[batch][columns]") {
  std::array<bool, 3> const labels = {true, false, true};
  std::vector<std::int32_t> const lengths = {7, 12};
  CHECK(column(labels).stored_as() == storage::boolean);
  CHECK(column(labels)[0] == 1.0);
  CHECK(column(labels)[1] == 0.0);
  CHECK(column(lengths).stored_as() == storage::int32);
  CHECK(column(lengths)[1] == 12.0);
}

TEST_CASE("column: elements of another type are converted into the room given",
          "[batch][columns]") {
  std::vector<std::int32_t> const lengths = {7, 12, 9};
  float room[2] = {};
  float const* const got = column(lengths).as(1, 2, room);
  CHECK(got == room);
  CHECK(got[0] == 12.0f);
  CHECK(got[1] == 9.0f);
}

TEST_CASE("column: what was never given is absent, an empty range is present", "[batch][columns]") {
  CHECK(!column().present());
  CHECK(!mutable_column().present());
  std::vector<double> empty;
  CHECK(column(empty).present());
  CHECK(column(empty).size() == 0);
  CHECK(mutable_column(empty).present());
}

TEST_CASE("column: what is no contiguous range of numbers is none", "[batch][columns]") {
  STATIC_REQUIRE(std::convertible_to<std::vector<double> const&, column>);
  STATIC_REQUIRE(!std::convertible_to<std::vector<bool>, column>);  // packed bits
  STATIC_REQUIRE(!std::convertible_to<std::vector<std::int64_t>, column>);
  STATIC_REQUIRE(!std::convertible_to<std::vector<std::string>, column>);
  STATIC_REQUIRE(!std::convertible_to<std::string, column>);
  STATIC_REQUIRE(!std::convertible_to<double, column>);
  STATIC_REQUIRE(std::convertible_to<std::vector<float>&, mutable_column>);
  STATIC_REQUIRE(!std::convertible_to<std::vector<float> const&, mutable_column>);
  STATIC_REQUIRE(!std::convertible_to<std::vector<std::int32_t>&, mutable_column>);
  STATIC_REQUIRE(!std::convertible_to<column, mutable_column>);
}

TEST_CASE("column: a temporary is one only where it is a view", "[batch][columns]") {
  STATIC_REQUIRE(!std::convertible_to<std::vector<double>, column>);
  STATIC_REQUIRE(!std::convertible_to<std::vector<double> const, column>);
  STATIC_REQUIRE(!std::convertible_to<std::array<float, 2>, column>);
  STATIC_REQUIRE(!std::convertible_to<foreign, column>);
  STATIC_REQUIRE(!std::convertible_to<std::vector<double>, mutable_column>);
  STATIC_REQUIRE(std::convertible_to<std::span<double>, column>);
  STATIC_REQUIRE(std::convertible_to<std::span<double const>, column>);
  STATIC_REQUIRE(std::convertible_to<std::span<double>, mutable_column>);
  STATIC_REQUIRE(std::convertible_to<column, column>);
}

TEST_CASE("column_traits: a foreign type joins with one specialisation", "[batch][columns]") {
  foreign numbers{{3.0, 4.0}};
  CHECK(column(numbers).size() == 2);
  CHECK(column(numbers)[1] == 4.0);
  double const results[] = {5.0, 6.0};
  mutable_column(numbers).assign(0, 2, results);
  CHECK(numbers.inside[1] == 6.0);
  STATIC_REQUIRE(!std::convertible_to<foreign const&, mutable_column>);
  STATIC_REQUIRE(prefer::check::column<foreign>());
}

TEST_CASE("mutable_column: results are stored as the target stores them", "[batch][columns]") {
  std::vector<float> f(3, -1.0f);
  mutable_column const target(f);
  CHECK(target.direct<float>(1) == f.data() + 1);
  CHECK(target.direct<double>(1) == nullptr);
  double const results[] = {0.5, 0.25};
  target.assign(1, 2, results);
  CHECK(f == std::vector<float>{-1.0f, 0.5f, 0.25f});
}

TEST_CASE("pair_columns: available names what was given, both sides of it", "[batch][columns]") {
  std::vector<double> const v(2);
  auto const policy = prefer::column_set(column_name::policy);
  CHECK(pair_columns{.policy = {v, v}}.available() == policy);
  prefer::completions half;
  half.chosen = v;
  CHECK(pair_columns{.policy = {v, v}, .reference = half}.available() == policy);
  CHECK(pair_columns{.policy = {v, v}, .length = {v, v}, .weight = v, .beta = v}.available() ==
        (policy | column_name::length | column_name::weight | column_name::beta));
  CHECK(prefer::list_columns{.policy = v, .reference = v}.available() ==
        (policy | column_name::reference));
  CHECK(prefer::unpaired_columns{.policy = v, .label = v}.available() ==
        (policy | column_name::label));
}

TEST_CASE("column_set: reads as a list of names", "[batch][columns]") {
  CHECK(to_string(prefer::column_set{}).empty());
  CHECK(to_string(column_name::label | column_name::policy) == "policy, label");
  CHECK(to_string(prefer::column_set((1u << 6) - 1)) ==
        "policy, reference, length, beta, target_margin, label");
}

TEST_CASE("with_columns: a promise is kept or refused by name", "[batch][columns]") {
  using promise = prefer::with_columns<column_name::policy | column_name::length, pair_columns>;
  std::vector<double> const v(2);
  CHECK(promise(pair_columns{.policy = {v, v}, .length = {v, v}}).columns().size() == 2);
  CHECK_THROWS_WITH(promise(pair_columns{.policy = {v, v}}),
                    "with_columns: promised policy, length; missing: length");
}

TEST_CASE("list_columns: sizes are counted from offsets", "[batch][columns]") {
  std::vector<double> const v(6);
  std::array<std::size_t, 4> const offset = {0, 1, 4, 6};
  CHECK(prefer::list_columns{.policy = v, .offset = offset}.size() == 3);
  CHECK(prefer::list_columns{.policy = v}.size() == 0);
}

}  // namespace
