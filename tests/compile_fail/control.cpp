// expect compiles
// The counterpart of every other file here: correct use, so that their failures mean something.
// SPDX-License-Identifier: MIT
#include <prefer/expects.hpp>

constexpr int positive(int value) {
  prefer::expects(value > 0, "must be greater than zero");
  return value;
}
static_assert(positive(1) == 1);
