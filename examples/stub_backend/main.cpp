// SPDX-License-Identifier: MIT
//
// What is left to do of a backend: the conformance suite, run on the stub.
#include <cstdio>
#include <vector>

#include <prefer/testing/backend_suite.hpp>

#include "stub_backend.hpp"

int main() {
  auto const upload = [](std::vector<double> const& numbers) {
    return stub_column(numbers.size());
  };
  auto const found = prefer::testing::check_backend(stub_backend(), upload);
  for (auto const& each : found) std::printf("%s\n", to_string(each).c_str());
  std::printf("%zu things to do\n", found.size());
}
