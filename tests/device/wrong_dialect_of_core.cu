// expect: error: #error "prefer: the library is C++20: compile with -std=c++20 or later"
// SPDX-License-Identifier: MIT
#include <prefer/prefer.hpp>
