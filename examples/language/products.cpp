// SPDX-License-Identifier: MIT
#include "products.hpp"

#include <prefer/lm/arithmetic/eigen_products.hpp>
#if defined(PREFER_HAS_CBLAS)
#include <prefer/adapters/cblas.hpp>
#endif
#if defined(PREFER_HAS_ONEDNN)
#include <prefer/adapters/onednn.hpp>
#endif
#include <prefer/expects.hpp>

#include "model_options.hpp"

namespace language {

std::vector<std::string> products_names() { return {"auto", "eigen", "openblas", "onednn"}; }

prefer::lm::products<float> products_named(std::string const& name) {
  if (name == "onednn" || name == "auto") {
#if defined(PREFER_HAS_ONEDNN)
    return prefer::lm::onednn_products;
#endif
  }
  if (name == "openblas" || name == "auto") {
#if defined(PREFER_HAS_CBLAS)
    return prefer::lm::cblas_products;
#endif
  }
  if (name == "eigen" || name == "auto") return prefer::lm::eigen_products;
  prefer::refuse("--products " + name +
                 ": this program was built without it; docs/building.md says what it takes");
}

}  // namespace language
