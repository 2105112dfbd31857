// expect compiles
// SPDX-License-Identifier: MIT
#define min(a, b) (((a) < (b)) ? (a) : (b))
#define max(a, b) (((a) > (b)) ? (a) : (b))
#define near
#define far
#define small char
#define slots
#include <prefer/prefer.hpp>
