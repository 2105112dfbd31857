// SPDX-License-Identifier: MIT
#pragma once

namespace tree {

using address = void (*)();

/// The address of prefer::version as the second translation unit sees it.
address version_in_the_second_unit();

}  // namespace tree
