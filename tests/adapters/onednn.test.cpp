// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <prefer/adapters/onednn.hpp>
#include <string>

#include "lm/arithmetic/product_facts.hpp"

namespace lm = prefer::lm;

TEST_CASE("products by oneDNN: sums of terms, rows alone or together, any threads", "[onednn]") {
  product_facts::hold_for<float>(lm::onednn_products);
  CHECK(std::string(lm::products<float>(lm::onednn_products).name()).rfind("oneDNN ", 0) == 0);
}

TEST_CASE("products of bfloat16 by oneDNN: exact products, float sums, rows alone or together",
          "[onednn]") {
  if (!lm::onednn_products.has_bfloat16()) {
    WARN("skipped: this processor has no products of bfloat16");
    return;
  }
  product_facts::hold_for_bfloat16(lm::onednn_products);
  product_facts::bfloat16_rows_do_not_see_each_other(lm::onednn_products);
}
