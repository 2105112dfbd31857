// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <concepts>
#include <cstddef>
#include <utility>
#include <vector>

#include <prefer/adapters/armadillo.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/objective/evaluate.hpp>

namespace {

using namespace prefer;
using Catch::Contains;

/// 1, 2, ... as they lie in memory: column by column.
arma::mat counted(arma::uword rows, arma::uword columns) {
  return arma::reshape(arma::linspace(1.0, double(rows * columns), rows * columns), rows, columns);
}

TEST_CASE("armadillo: vectors of either kind are columns, in place", "[adapters][armadillo]") {
  arma::fvec const v = {1.0f, 2.0f, 3.0f};
  arma::rowvec const r = {7.0, 8.0};
  arma::vec::fixed<2> const f = {4.0, 5.0};
  arma::mat const one_column = arma::mat{4.0, 5.0, 6.0}.t();
  arma::Col<int> const length = {7, 12};
  CHECK(column(v).direct<float>(0) == v.memptr());
  CHECK(column(r)[1] == 8.0);
  CHECK(column(f).direct<double>(1) == f.memptr() + 1);
  CHECK(column(one_column).direct<double>(0) == one_column.memptr());
  CHECK(column(length).stored_as() == storage::int32);
  CHECK(as_column(v).size() == 3);
}

TEST_CASE("armadillo: columns, rows, diagonals and parts of them are read with their steps",
          "[adapters][armadillo]") {
  arma::mat const m = counted(3, 4);
  CHECK(column(m.col(2)).direct<double>(0) == m.colptr(2));
  CHECK(column(m.col(1)).size() == 3);
  CHECK(column(m.row(1)).size() == 4);
  CHECK(column(m.row(1))[3] == 11.0);
  CHECK(column(m.submat(1, 1, 1, 3))[2] == m(1, 3));
  CHECK(column(m.submat(1, 2, 2, 2))[1] == m(2, 2));
  CHECK(column(m.diag())[2] == m(2, 2));
  CHECK(column(m.diag(1))[1] == m(1, 2));
  CHECK(column(m.diag(-1))[1] == m(2, 1));
  arma::fvec const v = {1.0f, 2.0f, 3.0f, 4.0f};
  CHECK(column(v.subvec(1, 2))[1] == 3.0);
  CHECK(column(v.head(2)).direct<float>(0) == v.memptr());
  CHECK(column(arma::rowvec(counted(1, 5)).tail(2)).size() == 2);
  for (arma::uword i = 0; i < 3; ++i) {
    for (arma::uword j = 0; j < 4; ++j) CHECK(as_column(m.row(i))[j] == m(i, j));
  }
}

TEST_CASE("armadillo: results are written to vectors and into matrices", "[adapters][armadillo]") {
  arma::mat m(3, 3, arma::fill::zeros);
  arma::fvec v(2, arma::fill::zeros);
  double const results[] = {1.5, 2.5, 3.5};
  mutable_column(v).assign(0, 2, results);
  mutable_column(m.row(1)).assign(0, 3, results);
  mutable_column(m.diag()).assign(2, 1, results);
  mutable_column(m.col(0)).assign(2, 1, results);
  CHECK(v[1] == 2.5f);
  CHECK(m(1, 2) == 3.5);
  CHECK(m(2, 2) == 1.5);
  CHECK(m(2, 0) == 1.5);
  CHECK(arma::accu(m) == 1.5 + 2.5 + 3.5 + 1.5 + 1.5);
}

TEST_CASE("armadillo: what has no memory, integers, cubes and what passes is no column",
          "[adapters][armadillo]") {
  using V = arma::vec;
  STATIC_REQUIRE(std::convertible_to<V const&, column>);
  STATIC_REQUIRE(!std::convertible_to<V, column>);  // a temporary
  STATIC_REQUIRE(!std::convertible_to<V, mutable_column>);
  STATIC_REQUIRE(!std::convertible_to<V const&, mutable_column>);
  STATIC_REQUIRE(
      !std::convertible_to<decltype(std::declval<arma::mat const&>().col(0)), mutable_column>);
  STATIC_REQUIRE(std::convertible_to<decltype(std::declval<arma::mat&>().col(0)), column>);
  STATIC_REQUIRE(!std::convertible_to<decltype(V() + V()), column>);
  STATIC_REQUIRE(column_traits<decltype(V() + V())>::refused);
  STATIC_REQUIRE(!std::convertible_to<arma::uvec const&, column>);  // 64 bits, comparisons' too
  STATIC_REQUIRE(column_traits<arma::uvec>::refused);
  STATIC_REQUIRE(!std::convertible_to<arma::uvec&, mutable_column>);
  STATIC_REQUIRE(!std::convertible_to<arma::Col<int>&, mutable_column>);
  STATIC_REQUIRE(!std::convertible_to<arma::cx_vec const&, column>);
  STATIC_REQUIRE(!std::convertible_to<arma::cube const&, column>);
  STATIC_REQUIRE(column_traits<arma::cube>::refused);
  STATIC_REQUIRE(column_traits<arma::sp_mat>::refused);
}

TEST_CASE("armadillo: a matrix that is no vector is told so with its size",
          "[adapters][armadillo]") {
  arma::mat m = counted(3, 4);
  CHECK_THROWS_WITH(column(m), Contains("is 3 x 4, a column has one dimension: take m.col(i)"));
  CHECK_THROWS_WITH(as_column(m.cols(1, 2)), Contains("is 3 x 2"));
  CHECK_THROWS_AS(mutable_column(m), precondition_error);
  arma::vec const none;
  CHECK(column(none).present());
  CHECK(column(none).size() == 0);
}

TEST_CASE("armadillo: evaluate reads and writes Armadillo's memory", "[adapters][armadillo]") {
  arma::uword const n = 300;
  arma::mat const table = -10.0 * arma::randu(4, n) - 0.1;  // one row per kind of number
  arma::mat out(n, 2, arma::fill::zeros);
  arma::frowvec value(n);
  evaluate_into(dpo{.beta = 0.1},
                pair_columns{.policy = {table.row(0), table.row(1)},
                             .reference = {table.row(2), table.row(3)}},
                pair_results{.value = value, .chosen = out.col(0), .rejected = out.col(1)},
                {.reduce = reduction::none});
  arma::vec const z = 0.1 * ((table.row(0) - table.row(2)) - (table.row(1) - table.row(3))).t();
  arma::vec const slope = -0.1 / (1.0 + arma::exp(z));
  CHECK(arma::abs(out.col(0) - slope).max() <= 1e-15);
  CHECK(arma::abs(out.col(1) + slope).max() <= 1e-15);
  CHECK(arma::abs(arma::conv_to<arma::vec>::from(value) - arma::log1p(arma::exp(-z))).max() <=
        1e-6);
}

}  // namespace
