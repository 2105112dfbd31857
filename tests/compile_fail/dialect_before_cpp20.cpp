// expect first: prefer: the library is C++20: compile with -std=c++20 or later
// flags: -std=c++17
// SPDX-License-Identifier: MIT
#include <prefer/loss/dpo.hpp>
