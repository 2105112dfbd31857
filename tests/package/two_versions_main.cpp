// SPDX-License-Identifier: MIT
// Prints what the two versions of the headers in this program answer.
#include <cstdio>

#include "two_versions.hpp"

int main() {
  answer const both[] = {of_this_version(), of_the_other_version()};
  for (answer const& each : both) {
    std::printf("%g %d %zu\n", each.loss, each.minor_number, each.size_of_hinge);
  }
}
