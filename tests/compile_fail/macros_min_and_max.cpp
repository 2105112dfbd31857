// expect first: prefer: min or max is a macro here: #undef it, define NOMINMAX, or include prefer first
// SPDX-License-Identifier: MIT
#include <vector>
#define min(a, b) (((a) < (b)) ? (a) : (b))
#define max(a, b) (((a) > (b)) ? (a) : (b))
#include <prefer/prefer.hpp>
