// SPDX-License-Identifier: MIT
#pragma once

#include <prefer/dialect.hpp>

// CMakeLists.txt reads the version from these lines. Every name of the library stands in the inline namespace of its
// version, v<major>_<minor>, so that two versions in one program share no symbol (docs/decisions/0054).
#define PREFER_VERSION_MAJOR 0
#define PREFER_VERSION_MINOR 1
#define PREFER_VERSION_PATCH 0
#define PREFER_VERSION_STRING "0.1.0"

namespace prefer::inline v0_1 {

struct version_number {
  int major_number;
  int minor_number;
  int patch_number;
};

/// The version of these headers, for code that does not want the macros. Semantic versioning.
[[nodiscard]] constexpr version_number version() noexcept {
  return {PREFER_VERSION_MAJOR, PREFER_VERSION_MINOR, PREFER_VERSION_PATCH};
}

}  // namespace prefer::inline v0_1
