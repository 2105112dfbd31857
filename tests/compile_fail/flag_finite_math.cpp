// expect: prefer: infinities and NaN have a meaning here
// flags: -ffinite-math-only
// SPDX-License-Identifier: MIT
#include <prefer/target.hpp>
