// expect: prefer: results are wrong under -ffast-math
// flags: -Ofast
// SPDX-License-Identifier: MIT
#include <prefer/target.hpp>
