// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <string>

#include <nlohmann/json.hpp>

#include <prefer/expects.hpp>

// Fields of a golden file, checked as they are read.

namespace golden {

[[noreturn]] inline void refuse(std::string const& place, std::string const& reason) {
  prefer::refuse(prefer::backend_error("golden", place, reason));
}

inline nlohmann::json const& member(nlohmann::json const& object, char const* name,
                                    std::string const& place) {
  if (!object.is_object()) refuse(place, "expected a JSON object");
  auto const found = object.find(name);
  if (found == object.end()) refuse(place, std::string("field \"") + name + "\" is missing");
  return *found;
}

/// A number, or one of the strings "nan", "inf", "-inf".
inline double number_of(nlohmann::json const& value, std::string const& place) {
  if (value.is_number()) return value.get<double>();
  if (value == "nan") return std::nan("");
  if (value == "inf") return HUGE_VAL;
  if (value == "-inf") return -HUGE_VAL;
  refuse(place, "found " + value.dump() + "; expected a number, \"nan\", \"inf\" or \"-inf\"");
}

inline std::string text_of(nlohmann::json const& object, char const* name,
                           std::string const& place) {
  nlohmann::json const& value = member(object, name, place);
  if (!value.is_string()) refuse(place, std::string("field \"") + name + "\" is not a string");
  return value.get<std::string>();
}

}  // namespace golden
