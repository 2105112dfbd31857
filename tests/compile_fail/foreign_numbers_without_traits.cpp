// expect: include its adapter, or specialise column_traits
// SPDX-License-Identifier: MIT
#include <prefer/prefer.hpp>

struct tensor {};
static_assert(prefer::check::column<tensor>());
