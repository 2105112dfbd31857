// SPDX-License-Identifier: MIT
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <limits>
#include <utility>
#include <vector>

#include <prefer/adapters/eigen.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/hinge.hpp>
#include <prefer/loss/kto.hpp>
#include <prefer/loss/simpo.hpp>
#include <prefer/objective/evaluate.hpp>

#include "support/near.hpp"

namespace {

using namespace prefer;
using test::near;
using test::ulps;

TEST_CASE("eigen: vectors and arrays are columns, in place", "[adapters][eigen]") {
  Eigen::VectorXd const v = Eigen::VectorXd::LinSpaced(4, 1.0, 4.0);
  Eigen::ArrayXf const a = Eigen::ArrayXf::Constant(3, 0.5f);
  Eigen::RowVector3d const r(7.0, 8.0, 9.0);
  Eigen::Array<bool, Eigen::Dynamic, 1> const label = v.array() > 2.5;
  double room[4];
  CHECK(column(v).as(0, 4, room) == v.data());
  CHECK(column(v)[3] == 4.0);
  CHECK(column(a).stored_as() == storage::float32);
  CHECK(column(a).size() == 3);
  CHECK(column(r)[2] == 9.0);
  CHECK(column(label)[1] == 0.0);
  CHECK(column(label)[2] == 1.0);
  CHECK(as_column(v).size() == 4);
}

TEST_CASE("eigen: maps, segments and columns of matrices are columns, in place",
          "[adapters][eigen]") {
  std::vector<float> memory = {1.0f, 2.0f, 3.0f, 4.0f};
  Eigen::Map<Eigen::ArrayXf const> const map(memory.data(), 4);
  Eigen::MatrixXd table(3, 2);
  table << 1, 4, 2, 5, 3, 6;
  double room[3];
  CHECK(column(map)[3] == 4.0);
  CHECK(column(table.col(1)).as(0, 3, room) == table.data() + 3);
  CHECK(column(table.col(0).segment(1, 2))[1] == 3.0);
  Eigen::Ref<Eigen::VectorXd const> const ref = table.col(1);
  CHECK(column(ref)[0] == 4.0);
  CHECK(column(table.reshaped())[5] == 6.0);
}

TEST_CASE("eigen: what has no memory or two dimensions is no column", "[adapters][eigen]") {
  using V = Eigen::VectorXd;
  STATIC_REQUIRE(std::convertible_to<V const&, column>);
  STATIC_REQUIRE(!std::convertible_to<decltype(V() + V()), column>);
  STATIC_REQUIRE(!std::convertible_to<Eigen::MatrixXd, column>);
  STATIC_REQUIRE(!std::convertible_to<Eigen::VectorXi::ConstantReturnType, column>);
  STATIC_REQUIRE(!std::convertible_to<Eigen::Matrix<std::int64_t, Eigen::Dynamic, 1>, column>);
  STATIC_REQUIRE(std::convertible_to<V&, mutable_column>);
  STATIC_REQUIRE(!std::convertible_to<V const&, mutable_column>);
  STATIC_REQUIRE(!std::convertible_to<Eigen::Map<V const>, mutable_column>);
}

TEST_CASE("eigen: what is refused is sent to as_column, and temporaries only where they are views",
          "[adapters][eigen]") {
  using V = Eigen::VectorXd;
  STATIC_REQUIRE(column_traits<Eigen::MatrixXd>::refused);
  STATIC_REQUIRE(
      column_traits<decltype(std::declval<Eigen::MatrixXd&>().block(0, 0, 2, 2))>::refused);
  STATIC_REQUIRE(column_traits<decltype(V() + V())>::refused);
  STATIC_REQUIRE_FALSE(std::convertible_to<V, column>);
  STATIC_REQUIRE_FALSE(std::convertible_to<Eigen::Ref<V const>, column>);  // it may hold a copy
  STATIC_REQUIRE(std::convertible_to<Eigen::Ref<V>, column>);
  STATIC_REQUIRE(std::convertible_to<Eigen::Map<V>, column>);
  STATIC_REQUIRE(std::convertible_to<decltype(std::declval<V&>().head(2)), column>);
  STATIC_REQUIRE(std::convertible_to<decltype(std::declval<V&>().head(2)), mutable_column>);
}

TEST_CASE("eigen: rows, columns and maps are read and written with their steps",
          "[adapters][eigen]") {
  Eigen::MatrixXd table = Eigen::MatrixXd::Random(3, 4);
  Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> const rows = table;
  for (Eigen::Index i = 0; i < 3; ++i) {
    CHECK(column(table.row(i))[2] == table(i, 2));
    CHECK(as_column(table.row(i))[3] == table(i, 3));
  }
  double room[3];
  CHECK(column(rows.row(1)).as(0, 3, room) == &rows(1, 0));  // no steps: in place
  CHECK(column(rows.col(2)).as(0, 3, room) == room);
  CHECK(room[1] == table(1, 2));
  Eigen::Map<Eigen::VectorXd, 0, Eigen::InnerStride<>> const every_other(table.data() + 1, 6,
                                                                         Eigen::InnerStride<>(2));
  CHECK(column(every_other)[4] == table.data()[9]);
  double const results[] = {7.0, 8.0};
  auto row = table.row(1);
  mutable_column(row).assign(2, 2, results);
  CHECK(table(1, 2) == 7.0);
  CHECK(table(1, 3) == 8.0);
}

TEST_CASE("eigen: its numbers of 16 bits are columns", "[adapters][eigen]") {
  Eigen::Array<Eigen::half, Eigen::Dynamic, 1> small(2);
  small << Eigen::half(-0.1f), Eigen::half(3.0f);
  Eigen::Matrix<Eigen::bfloat16, 2, 1> const other(Eigen::bfloat16(0.5f), Eigen::bfloat16(-2.0f));
  CHECK(column(small)[0] == -0.0999755859375);  // -1638 / 2^14
  CHECK(column(other)[1] == -2.0);
  double const third[] = {1.0 / 3.0};
  mutable_column(small).assign(1, 1, third);
  CHECK(static_cast<float>(small[1]) == static_cast<float>(Eigen::half(1.0f / 3.0f)));
}

TEST_CASE("eigen: evaluate reads and writes Eigen's memory", "[adapters][eigen]") {
  Eigen::Index const n = 300;
  Eigen::MatrixXd const table = -10.0 * (Eigen::MatrixXd::Random(n, 4).array() + 1.1).matrix();
  Eigen::MatrixXd out = Eigen::MatrixXd::Constant(n, 2, 42.0);
  Eigen::ArrayXf value(n);
  auto const batch = pair_columns{.policy = {table.col(0), table.col(1)},
                                  .reference = {table.col(2), table.col(3)}};
  evaluate_into(dpo{.beta = 0.1}, batch,
                pair_results{.value = value, .chosen = out.col(0), .rejected = out.col(1)},
                {.reduce = reduction::none});
  Eigen::ArrayXd const z =
      0.1 * ((table.col(0) - table.col(2)) - (table.col(1) - table.col(3))).array();
  Eigen::ArrayXd const slope = -0.1 / (1.0 + z.exp());
  CHECK(((out.col(0).array() - slope).abs() <= 1e-15).all());
  CHECK(((out.col(1).array() + slope).abs() <= 1e-15).all());
  CHECK(((value.cast<double>() - (1.0 + (-z).exp()).log()).abs() <= 1e-6).all());
}

template <class T>
double at(auto const& f, T x) {
  eigen_lane<T, 8> const y = f(eigen_lane<T, 8>(static_cast<double>(x)));
  for (std::size_t i = 1; i < 8; ++i) {
    if (!test::same_bits(y[i], y[0])) return std::numeric_limits<double>::quiet_NaN();
  }
  return static_cast<double>(y[0]);
}

TEMPLATE_TEST_CASE(
    "eigen_lane: primitives agree with exact values to a few units in the last place",
    "[adapters][eigen]", float, double) {
  using T = TestType;
  STATIC_REQUIRE(Scalar<eigen_lane<T, 8>>);
  STATIC_REQUIRE(Scalar<dual<eigen_lane<T, 8>, 2>>);
  double const far = sizeof(T) == 4 ? 80.0 : 700.0;
  auto const worst = [&](auto const& f, auto const& exact, double from, double to) {
    double most = 0.0;
    for (int i = 0; i <= 4001; ++i) {
      T const x = static_cast<T>(from + (to - from) * i / 4001);
      most =
          std::max(most, ulps<T>(static_cast<T>(at<T>(f, x)), exact(static_cast<long double>(x))));
    }
    return most;
  };
  auto const exact_softplus = [](long double x) {
    return std::fmax(x, 0.0L) + std::log1p(std::exp(-std::fabs(x)));
  };
  auto const exact_sigmoid = [](long double x) {
    return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x));
  };
  auto const exact_log1mexp = [](long double x) {
    return x > -0.7L ? std::log(-std::expm1(x)) : std::log1p(-std::exp(x));
  };
  CHECK(worst([](auto x) { return exp(x); }, [](long double x) { return std::exp(x); }, -far,
              far) <= 1.5);
  CHECK(worst([](auto x) { return expm1(x); }, [](long double x) { return std::expm1(x); }, -5.0,
              5.0) <= 2.5);
  CHECK(worst([](auto x) { return log(x); }, [](long double x) { return std::log(x); }, 1e-3,
              30.0) <= 1.6);
  CHECK(worst([](auto x) { return softplus(x); }, exact_softplus, -far, far) <= 2.5);
  CHECK(worst([](auto x) { return softplus(x); }, exact_softplus, -3.0, 3.0) <= 2.5);
  CHECK(worst([](auto x) { return sigmoid(x); }, exact_sigmoid, -far, far) <= 2.5);
  CHECK(worst([](auto x) { return log1mexp(x); }, exact_log1mexp, -far, -1e-4) <= 3.5);
  CHECK(worst([](auto x) { return log1mexp(x); }, exact_log1mexp, -3.0, -1e-4) <= 3.5);
}

TEST_CASE("eigen_lane: infinities and NaN give the limits", "[adapters][eigen]") {
  double const inf = std::numeric_limits<double>::infinity();
  double const nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(at<double>([](auto x) { return softplus(x); }, 1e4) == 1e4);
  CHECK(at<double>([](auto x) { return softplus(x); }, -1e4) == Approx(0.0).margin(1e-300));
  CHECK(at<double>([](auto x) { return softplus(x); }, inf) == inf);
  CHECK(at<double>([](auto x) { return sigmoid(x); }, 1e4) == 1.0);
  CHECK(at<double>([](auto x) { return sigmoid(x); }, -1e4) == Approx(0.0).margin(1e-300));
  CHECK(at<double>([](auto x) { return relu(x); }, -3.0) == 0.0);
  CHECK(at<double>([](auto x) { return clamp(x, -1.0, 2.0); }, 3.0) == 2.0);
  CHECK(std::isnan(at<double>([](auto x) { return softplus(x); }, nan)));
  CHECK(std::isnan(at<double>([](auto x) { return sigmoid(x); }, nan)));
  CHECK(std::isnan(at<double>([](auto x) { return relu(x); }, nan)));
}

TEST_CASE("eigen_lane: losses evaluated on it agree with the library's lanes",
          "[adapters][eigen]") {
  Eigen::Index const n = 517;
  Eigen::MatrixXd const table = -30.0 * (Eigen::MatrixXd::Random(n, 4).array() + 1.05).matrix();
  Eigen::VectorXi const length = Eigen::VectorXi::LinSpaced(n, 1, 60);
  auto const batch = pair_columns{.policy = {table.col(0), table.col(1)},
                                  .reference = {table.col(2), table.col(3)},
                                  .length = {length, length}};
  std::vector<double> value(static_cast<std::size_t>(n)), chosen(value), rejected(value);
  auto const check = [&](auto const& loss) {
    auto const ours = evaluate(loss, batch, {.reduce = reduction::none});
    double const mean = evaluate_on<eigen_lane<double, 8>>(
        loss, batch, pair_results{.value = value, .chosen = chosen, .rejected = rejected},
        {.reduce = reduction::none});
    CHECK(near(mean, ours.loss, 1e-14));
    for (std::size_t i = 0; i < value.size(); ++i) {
      CAPTURE(i);
      // The primitives of both are within 4 units of the exact value, so within 8 of each other; the floor is
      // the size of the terms (beta, label_smoothing) whose difference a coefficient may be.
      CHECK(near(value[i], ours.value[i], 8 * 0x1p-52));
      CHECK(near(chosen[i], ours.coefficient.chosen[i], 8 * 0x1p-52, 0.1));
      CHECK(near(rejected[i], ours.coefficient.rejected[i], 8 * 0x1p-52, 0.1));
    }
  };
  check(dpo{.label_smoothing = 0.1});
  check(hinge{});
  check(simpo{});
  check(dpo{} + 0.5 * simpo{});
}

TEST_CASE("eigen_lane: losses over labelled completions run on it, too", "[adapters][eigen]") {
  Eigen::Index const n = 45;
  Eigen::ArrayXXf const table = -30.0f * (Eigen::ArrayXXf::Random(n, 2) + 1.05f);
  Eigen::Array<bool, Eigen::Dynamic, 1> const label = table.col(0) > table.col(1);
  auto const batch = unpaired_columns{.policy = table.col(0),
                                      .reference = table.col(1),
                                      .label = label,
                                      .kl_examples = {table.col(1), table.col(0)}};
  Eigen::ArrayXf coefficient(n);
  auto const ours = evaluate(kto{}, batch);
  double const mean = evaluate_on<eigen_lane<float, 16>>(
      kto{}, batch, unpaired_results{.coefficient = coefficient});
  CHECK(near(mean, ours.loss, 1e-6));
  for (Eigen::Index i = 0; i < n; ++i) {
    CHECK(near(static_cast<double>(coefficient[i]), ours.coefficient[static_cast<std::size_t>(i)],
               2e-6));
  }
}

}  // namespace
