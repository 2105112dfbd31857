// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <prefer/policy/parameter.hpp>
#include <vector>

using prefer::tensor_shape;

TEST_CASE("tensor_shape: sizes, and their product", "[policy]") {
  STATIC_REQUIRE(tensor_shape().empty());
  STATIC_REQUIRE(tensor_shape{2, 3, 4}.elements() == 24);
  tensor_shape const shape{5, 0};
  CHECK(std::vector<std::size_t>(shape.sizes().begin(), shape.sizes().end()) ==
        std::vector<std::size_t>{5, 0});
  CHECK(shape.elements() == 0);
  CHECK(tensor_shape{2, 3} != tensor_shape{3, 2});
  CHECK_THROWS_WITH((tensor_shape{1, 1, 1, 1, 1, 1, 1}),
                    Catch::Matchers::Contains("at most 6 dimensions"));
}
