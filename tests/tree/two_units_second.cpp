// SPDX-License-Identifier: MIT
#include "two_units.hpp"

// In the opposite order, so that a header that leans on another one's includes is noticed.
#include <prefer_everything_reversed.hpp>

void const* tree::version_seen_by_the_second_unit() { return &prefer::version; }
