// expect: prefer: results are wrong under -ffast-math
// flags: -ffast-math
// SPDX-License-Identifier: MIT
#include <prefer/target.hpp>
