// expect: prefer: a column does not keep the numbers of a temporary: give them a name first
// expect: prefer: results in a temporary are lost: give it a name first
// expect: prefer: this is no column as it is; as_column of its adapter says why
// expect: prefer: results have no place in it as it is; as_column of its adapter says why
// expect: prefer: a column is dense and has one dimension; take c.slice(i).col(j) of a cube
// expect: prefer: this Armadillo expression has no memory of its own; keep its .eval() and pass that
// expect: prefer: a column is float or double (labels: bool, lengths: int); keep arma::conv_to
// SPDX-License-Identifier: MIT
#include <prefer/adapters/armadillo.hpp>

void refused(arma::vec const& v, arma::cube& cube, arma::uvec const& count) {
  prefer::column{arma::vec(v)};
  prefer::mutable_column{arma::vec(v)};
  prefer::column{v + v};
  prefer::mutable_column{cube};
  (void)prefer::as_column(cube);
  (void)prefer::as_column(v + v);
  (void)prefer::as_column(count);
}
