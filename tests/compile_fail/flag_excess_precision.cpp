// expect: prefer: float has excess precision
// flags: -m32 -mno-sse
// SPDX-License-Identifier: MIT
#include <prefer/target.hpp>
