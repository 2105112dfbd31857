// expect: prefer: a loss has a const operator() that takes a record of any Scalar
// SPDX-License-Identifier: MIT
#include <prefer/prefer.hpp>

struct mine {
  static constexpr std::size_t arity = 2;
  double operator()(prefer::pair_record<double> const& pair) const { return -pair.chosen.log_prob; }
};
double loss(prefer::pair_columns const& batch) { return prefer::evaluate(mine{}, batch).loss; }
