// SPDX-License-Identifier: MIT
#pragma once

namespace tree {

/// Addresses of the same inline variable as two translation units see them.
void const* version_seen_by_the_second_unit();

}  // namespace tree
