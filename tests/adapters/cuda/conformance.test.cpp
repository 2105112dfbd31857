// SPDX-License-Identifier: MIT
#include <prefer/adapters/cuda/sort.cuh>

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include <prefer/testing/backend_suite.hpp>

TEST_CASE("cuda: the suite that every backend passes finds nothing", "[cuda][conformance]") {
  cudaStream_t const stream = nullptr;
  auto const found = prefer::testing::check_backend(
      prefer::cuda::backend(stream), [&](std::vector<double> const& numbers) {
        return prefer::cuda::device_column<double>(numbers, stream);
      });
  for (auto const& each : found) {
    UNSCOPED_INFO(to_string(each));
  }
  CHECK(found.empty());
}
