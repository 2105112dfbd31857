// expect: prefer: losses that are added must have the same arity (pairs with pairs, ...)
// SPDX-License-Identifier: MIT
#include <prefer/loss/compose.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/lipo.hpp>

auto const mixed = prefer::lipo{} + 0.1 * prefer::dpo{};
