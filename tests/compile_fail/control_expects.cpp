// expect: must be greater than zero
// SPDX-License-Identifier: MIT
#include <prefer/expects.hpp>

constexpr int positive(int value) {
  prefer::expects(value > 0, "must be greater than zero");
  return value;
}
static_assert(positive(0) == 0);
