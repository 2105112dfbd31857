// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <prefer/adapters/cblas.hpp>
#include <string>

#include "lm/arithmetic/product_facts.hpp"

namespace lm = prefer::lm;

TEST_CASE("products by a BLAS: sums of terms, rows alone or together, any threads", "[cblas]") {
  INFO(lm::cblas_products.name());
  bool const alike = lm::cblas_products.treats_rows_alike();
  if (!alike) WARN("skipped: this library's code for this processor treats rows by their place");
  product_facts::hold_for<float>(lm::cblas_products, alike);
  product_facts::hold_for<double>(lm::cblas_products, alike);
}

TEST_CASE("products by a BLAS: results can say which one", "[cblas]") {
  std::string const name(lm::products<float>(lm::cblas_products).name());
  CHECK(name.find_first_of("0123456789") != std::string::npos);  // with its version
  CHECK((name.rfind("OpenBLAS ", 0) == 0 || name.rfind("BLIS ", 0) == 0));
}
