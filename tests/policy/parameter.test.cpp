// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <prefer/parallel/thread_pool.hpp>
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

TEST_CASE("zero_gradients: every element of every parameter, on any threads", "[policy]") {
  prefer::thread_pool pool(3);
  for (bool const threads : {false, true}) {
    std::vector<float> value(200001, 2.0F);
    std::vector<float> gradient(value.size(), 3.0F);
    std::vector<float> short_value(1, 2.0F);
    std::vector<float> short_gradient(1, 3.0F);
    std::vector<prefer::parameter<float>> const all = {
        {.name = "long", .value = value, .gradient = gradient},
        {.name = "none", .value = short_value, .gradient = {}},
        {.name = "short", .value = short_value, .gradient = short_gradient}};
    prefer::zero_gradients(std::span<prefer::parameter<float> const>(all),
                           threads ? pool.executor() : prefer::executor());
    CHECK(gradient == std::vector<float>(value.size(), 0.0F));
    CHECK(short_gradient[0] == 0.0F);
    CHECK(short_value[0] == 2.0F);
  }
}
