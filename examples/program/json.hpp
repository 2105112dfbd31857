// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include <prefer/text/number.hpp>
#include <prefer/version.hpp>

#include "output.hpp"

namespace program {

/// Fields stand in the order in which they were written.
using json = nlohmann::ordered_json;

/// A number at full precision; what JSON has no number for is the string "inf", "-inf" or "nan".
[[nodiscard]] inline json number(double value) {
  return std::isfinite(value) ? json(value) : json(prefer::text::shortest(value));
}
/// null for one that is not there.
[[nodiscard]] inline json number(std::optional<double> const& value) {
  return value ? number(*value) : json();
}

/// What every document begins with.
[[nodiscard]] inline json document() {
  return {{"program", own_name}, {"version", PREFER_VERSION_STRING}};
}

/// One document, or one line of several, on standard output. Text that is no UTF-8 is written as U+FFFD.
inline void print_json(json const& what) {
  print(what.dump(-1, ' ', false, json::error_handler_t::replace) + "\n");
}

}  // namespace program
