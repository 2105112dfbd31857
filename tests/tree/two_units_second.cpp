// SPDX-License-Identifier: MIT
#include "two_units.hpp"

// In the opposite order, so that a header that leans on another one's includes is noticed.
#include <prefer_everything_reversed.hpp>

tree::address tree::version_in_the_second_unit() {
  return reinterpret_cast<address>(&prefer::version);
}
