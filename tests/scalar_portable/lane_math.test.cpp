// SPDX-License-Identifier: MIT
// The lanes of a compiler without vector types must pass what the others pass. A program of its own, because both
// kinds have the same names.
#define PREFER_PORTABLE_LANES
#include "scalar/lane_math.test.cpp"

TEST_CASE("portable lanes: this program tests the plain arrays", "[scalar_portable][lane]") {
  STATIC_REQUIRE(PREFER_VECTOR_LANES == 0);
}
