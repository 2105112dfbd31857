// expect: expected a finite number greater than zero
// SPDX-License-Identifier: MIT
// A constant out of range does not compile.
#include <prefer/loss/dpo.hpp>

constexpr prefer::dpo bad{.beta = 0.0};
