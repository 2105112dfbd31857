// expect: prefer: this is no column as it is
// SPDX-License-Identifier: MIT
#include <prefer/prefer.hpp>

struct matrix {};
template <>
struct prefer::column_traits<matrix> {
  static constexpr bool refused = true;
};

matrix const log_prob;
prefer::column const chosen = log_prob;
