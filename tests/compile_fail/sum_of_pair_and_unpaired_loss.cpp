// expect: prefer: losses that are added must have the same arity (pairs with pairs, ...)
// SPDX-License-Identifier: MIT
#include <prefer/loss/compose.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/kto.hpp>

auto const mixed = prefer::dpo{} + prefer::kto{};
