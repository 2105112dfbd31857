// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <string>

namespace prefer::test {

/// Some numbers of every tensor's gradient against differences of `value()`, which the model's parameters change.
///
/// The derivative by four values: error about h^4 / 30 |f'''''| and 1.5e-16 |f| / h, some 1e-11 for tiny models.
template <class Model, class Value>
void check_gradients_of(Model& model, Value const& value) {
  for (auto const& each : model.parameters()) {
    INFO(std::string(each.name));
    double largest = 0;
    for (double const g : each.gradient) largest = std::max(largest, std::abs(g));
    CHECK(largest > 1e-6);  // so that what follows says something
    std::size_t const apart = each.value.size() / 3 + 1;
    for (std::size_t k = 0; k < each.value.size(); k += apart) {
      double const start = each.value[k];
      auto const at = [&](double x) {
        each.value[k] = start + x;
        model.parameters_moved();
        return value();
      };
      double const h = 1e-3;
      double const slope = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
      at(0);
      CHECK(each.gradient[k] == Approx(slope).epsilon(1e-7).margin(1e-8));
    }
  }
}

}  // namespace prefer::test
