// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <prefer/lm/arithmetic/eigen_products.hpp>
#include <string>

#include "lm/arithmetic/product_facts.hpp"

namespace lm = prefer::lm;

TEST_CASE("products by Eigen: sums of terms, rows alone or together, any threads",
          "[lm][products]") {
  product_facts::hold_for<double>(lm::eigen_products);
  product_facts::hold_for<float>(lm::eigen_products);
  CHECK(lm::products<float>(lm::eigen_products).name() == "Eigen");
}

TEST_CASE("products: a library without bfloat16 says so and who has it", "[lm][products]") {
  lm::products<float> const by = lm::eigen_products;
  CHECK_FALSE(by.has_bfloat16());
  CHECK_THROWS_WITH(by.multiply(lm::bfloat16_product{}),
                    Catch::Contains("Eigen") && Catch::Contains("oneDNN"));
}

TEST_CASE("products: rows are padded to the least number and the multiple that a library asks for",
          "[lm][products]") {
  lm::row_rule const rule{.least = 20, .multiple = 8};
  CHECK(rule.padded(1) == 24);
  CHECK(rule.padded(24) == 24);
  CHECK(rule.padded(25) == 32);
  CHECK(lm::row_rule{}.padded(7) == 7);
}
