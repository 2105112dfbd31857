// expect: prefer: losses that are added must have the same examples (tokens with tokens)
// SPDX-License-Identifier: MIT
#include <prefer/loss/compose.hpp>
#include <prefer/loss/kto.hpp>
#include <prefer/loss/nash_md.hpp>

auto const mixed = prefer::nash_md{} + prefer::kto{};
