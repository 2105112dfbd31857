// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>
#include <xtensor/xadapt.hpp>
#include <xtensor/xarray.hpp>
#include <xtensor/xfixed.hpp>
#include <xtensor/xmath.hpp>
#include <xtensor/xrandom.hpp>
#include <xtensor/xtensor.hpp>

#include <prefer/adapters/xtensor.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/objective/evaluate.hpp>

namespace {

using namespace prefer;
using Catch::Contains;
using vector = xt::xtensor<double, 1>;
using matrix = xt::xtensor<double, 2>;
using by_columns = xt::xtensor<double, 2, xt::layout_type::column_major>;

TEST_CASE("xtensor: arrays and tensors of one dimension are columns, in place",
          "[adapters][xtensor]") {
  xt::xtensor<float, 1> const v = {1.0f, 2.0f, 3.0f};
  xt::xarray<double> const a = {4.0, 5.0};
  xt::xtensor_fixed<double, xt::xshape<2>> const f = {6.0, 7.0};
  xt::xtensor<bool, 1> const label = {true, false};
  std::vector<float> memory = {1.0f, 2.0f};
  auto const adapted = xt::adapt(memory);
  CHECK(column(v).direct<float>(0) == v.data());
  CHECK(column(a).direct<double>(1) == a.data() + 1);
  CHECK(column(f)[1] == 7.0);
  CHECK(column(label).stored_as() == storage::boolean);
  CHECK(column(adapted).direct<float>(0) == memory.data());
  CHECK(as_column(v).size() == 3);
}

TEST_CASE("xtensor: rows, columns and views are read with their steps", "[adapters][xtensor]") {
  matrix const m = {{1, 2, 3, 4}, {5, 6, 7, 8}, {9, 10, 11, 12}};
  by_columns const c = m;
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t j = 0; j < 4; ++j) {
      CHECK(as_column(xt::row(m, static_cast<std::ptrdiff_t>(i)))[j] == m(i, j));
      CHECK(as_column(xt::col(m, static_cast<std::ptrdiff_t>(j)))[i] == m(i, j));
      CHECK(as_column(xt::row(c, static_cast<std::ptrdiff_t>(i)))[j] == m(i, j));
    }
  }
  CHECK(column(xt::row(m, 1)).direct<double>(0) == &m(1, 0));
  CHECK(column(xt::col(c, 2)).direct<double>(0) == &c(0, 2));
  CHECK(column(xt::col(m, 2)).direct<double>(0) == nullptr);
  vector const v = {1, 2, 3, 4, 5, 6};
  column const every_other = xt::view(v, xt::range(1, 6, 2));
  CHECK(every_other.size() == 3);
  CHECK(every_other[2] == 6.0);
  CHECK(column(xt::strided_view(v, {xt::range(4, 0, -2)}))[1] == 3.0);
  xt::xarray<float> const a = m;
  CHECK(column(xt::view(a, xt::all(), 3))[1] == 8.0);
  CHECK(column(xt::view(v, xt::range(2, 3)))[0] == 3.0);  // of length 1, which has no step
}

TEST_CASE("xtensor: results are written to tensors and into matrices", "[adapters][xtensor]") {
  xt::xtensor<float, 1> v = {0.0f, 0.0f};
  matrix m = xt::zeros<double>({2, 3});
  double const results[] = {1.5, 2.5, 3.5};
  mutable_column(v).assign(0, 2, results);
  mutable_column(xt::row(m, 1)).assign(0, 3, results);
  mutable_column(xt::col(m, 0)).assign(0, 1, results + 2);
  CHECK(v(1) == 2.5f);
  CHECK(m(1, 2) == 3.5);
  CHECK(m(0, 0) == 3.5);
  CHECK(m(0, 1) == 0.0);
}

TEST_CASE("xtensor: what has no memory, other dimensions, integers and what passes is no column",
          "[adapters][xtensor]") {
  STATIC_REQUIRE(std::convertible_to<vector const&, column>);
  STATIC_REQUIRE(!std::convertible_to<vector, column>);  // a temporary
  STATIC_REQUIRE(!std::convertible_to<vector, mutable_column>);
  STATIC_REQUIRE(!std::convertible_to<vector const&, mutable_column>);
  STATIC_REQUIRE(
      !std::convertible_to<decltype(xt::row(std::declval<matrix const&>(), 0)), mutable_column>);
  STATIC_REQUIRE(std::convertible_to<decltype(xt::row(std::declval<matrix&>(), 0)), column>);
  STATIC_REQUIRE(!std::convertible_to<decltype(xt::view(std::declval<matrix>(), 0, xt::all())),
                                      column>);  // keeps it
  using sum = decltype(std::declval<vector const&>() + std::declval<vector const&>());
  STATIC_REQUIRE(!std::convertible_to<sum const&, column>);
  STATIC_REQUIRE(column_traits<sum>::refused);
  STATIC_REQUIRE(!std::convertible_to<matrix const&, column>);
  STATIC_REQUIRE(column_traits<matrix>::refused);
  STATIC_REQUIRE(!std::convertible_to<xt::xtensor<std::int64_t, 1> const&, column>);
  STATIC_REQUIRE(column_traits<xt::xtensor<std::int64_t, 1>>::refused);
  STATIC_REQUIRE(!std::convertible_to<xt::xtensor<int, 1>&, mutable_column>);
}

TEST_CASE("xtensor: an xarray of other dimensions is told so", "[adapters][xtensor]") {
  xt::xarray<double> a = {{1.0, 2.0}, {3.0, 4.0}};
  CHECK_THROWS_WITH(column(a), Contains("has 2 dimensions, a column has one: take xt::col"));
  CHECK_THROWS_AS(mutable_column(a), precondition_error);
}

TEST_CASE("xtensor: evaluate reads and writes xtensor's memory", "[adapters][xtensor]") {
  std::size_t const n = 300;
  matrix const table = -10.0 * xt::random::rand<double>({n, std::size_t{4}}) - 0.1;
  matrix out = xt::zeros<double>({n, std::size_t{2}});
  xt::xtensor<float, 1> value = xt::zeros<float>({n});
  evaluate_into(
      dpo{.beta = 0.1},
      pair_columns{.policy = {xt::col(table, 0), xt::col(table, 1)},
                   .reference = {xt::col(table, 2), xt::col(table, 3)}},
      pair_results{.value = value, .chosen = xt::col(out, 0), .rejected = xt::col(out, 1)},
      {.reduce = reduction::none});
  vector const z =
      0.1 * ((xt::col(table, 0) - xt::col(table, 2)) - (xt::col(table, 1) - xt::col(table, 3)));
  vector const slope = -0.1 / (1.0 + xt::exp(z));
  CHECK(xt::amax(xt::abs(xt::col(out, 0) - slope))() <= 1e-15);
  CHECK(xt::amax(xt::abs(xt::col(out, 1) + slope))() <= 1e-15);
  CHECK(xt::amax(xt::abs(value - xt::log1p(xt::exp(-z))))() <= 1e-6);
}

}  // namespace
