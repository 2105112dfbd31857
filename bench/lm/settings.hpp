// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <utility>

#include <prefer/expects.hpp>
#include <prefer/lm/arithmetic/products.hpp>

#include "measure.hpp"

namespace measure {

/// What a program of this folder is told as name=value, and what holds where it is not told.
struct settings {
  std::string program;
  std::map<std::string, std::string> given;

  settings(std::string name, std::map<std::string, std::string> usual, int count, char** arguments)
      : program(std::move(name)), given(std::move(usual)) {
    for (int i = 1; i < count; ++i) {
      std::string const each = arguments[i];
      auto const equals = each.find('=');
      if (equals == std::string::npos || given.count(each.substr(0, equals)) == 0) {
        prefer::refuse(program + ": " + each + " is no setting");
      }
      given[each.substr(0, equals)] = each.substr(equals + 1);
    }
  }
  std::string const& operator()(char const* name) const { return given.at(name); }
  std::size_t number(char const* name) const { return std::stoul(given.at(name)); }
};

/// The library whose name begins so; for an empty name the fastest that is here.
inline prefer::lm::products<float> library_named(std::string const& name) {
  auto const all = libraries();
  for (auto const& each : all) {
    if (!name.empty() && std::string(each.name()).rfind(name, 0) == 0) return each;
  }
  return all.back();
}

}  // namespace measure
