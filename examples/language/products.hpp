// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include <prefer/lm/arithmetic/products.hpp>

namespace language {

/// The library that multiplies matrices; "auto" is the fastest that this program was built with.
///
/// Errors  precondition_error for one that this program was built without
[[nodiscard]] prefer::lm::products<float> products_named(std::string const& name);

}  // namespace language
