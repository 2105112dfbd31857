// expect: prefer: a column does not keep the numbers of a temporary: give them a name first
// expect: prefer: results in a temporary are lost: give it a name first
// expect: prefer: this is no column as it is; as_column of its adapter says why
// expect: prefer: results have no place in it as it is; as_column of its adapter says why
// expect: prefer: a column has one dimension; take m.col(i) of a matrix
// expect: prefer: this Eigen expression has no memory of its own; keep its .eval() and pass that
// expect: prefer: a column is float, double or of 16 bits (labels: bool, lengths: int); keep its
// SPDX-License-Identifier: MIT
#include <prefer/adapters/eigen.hpp>

void refused(Eigen::VectorXd const& v, Eigen::MatrixXd& m,
             Eigen::Matrix<long, Eigen::Dynamic, 1> const& count) {
  prefer::column{Eigen::VectorXd(v)};
  prefer::mutable_column{Eigen::VectorXd(v)};
  prefer::column{v + v};
  prefer::mutable_column{m};
  (void)prefer::as_column(m);
  (void)prefer::as_column(v + v);
  (void)prefer::as_column(count);
}
