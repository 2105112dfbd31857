// expect: prefer: a column does not keep the numbers of a temporary: give them a name first
// expect: prefer: results in a temporary are lost: give it a name first
// expect: prefer: this is no column as it is; as_column of its adapter says why
// expect: prefer: results have no place in it as it is; as_column of its adapter says why
// expect: prefer: a column has one dimension; take xt::col(m, i), xt::row(m, i) or xt::view
// expect: prefer: this xtensor expression has no memory of its own; keep its xt::eval and pass that
// expect: prefer: a column is float or double (labels: bool, lengths: int); keep xt::eval
// SPDX-License-Identifier: MIT
#include <xtensor/xtensor.hpp>

#include <prefer/adapters/xtensor.hpp>

using vector = xt::xtensor<double, 1>;

void refused(vector const& v, xt::xtensor<double, 2>& m, xt::xtensor<long, 1> const& count) {
  prefer::column{vector(v)};
  prefer::mutable_column{vector(v)};
  prefer::column{v + v};
  prefer::mutable_column{m};
  (void)prefer::as_column(m);
  (void)prefer::as_column(v + v);
  (void)prefer::as_column(count);
}
